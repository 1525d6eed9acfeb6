# SPDX-License-Identifier: BSD-3-Clause
# Time to recover per kind of fault: gnuplot -e "tsv='FILE'; out='FILE'" faults.gp
set terminal pngcairo size 1000,600 font 'sans,11'
set output out
set title "time until all is as before, from the end of the fault"
set ylabel "milliseconds"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8 noborder
set xtics rotate by -40
set grid ytics
set key left top
set datafile separator "\t"
plot tsv using 2:xtic(1) title "p50", tsv using 3 title "max"
