# SPDX-License-Identifier: BSD-3-Clause
# Memory over time: gnuplot -e "tsv='FILE'; names='A B C'; out='FILE'" soak.gp
set terminal pngcairo size 1000,600 font 'sans,11'
set output out
set title "resident memory under soak.sh, sanitizer build"
set xlabel "seconds"
set ylabel "MiB"
set yrange [0:*]
set grid
set key right center
set datafile separator "\t"
plot for [i=1:words(names)] tsv using 1:(column(i + 1) / 1024) with lines lw 2 title word(names, i)
