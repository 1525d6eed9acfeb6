# SPDX-License-Identifier: BSD-3-Clause
# gnuplot -e "data='FILE'; out='FILE.png'" fastpath.gp
set terminal pngcairo size 1100,500 font "sans,10"
set output out
set title "ns per packet on one core (of two: both together), net_null to net_null" noenhanced
set style data histograms
set style fill solid 0.8 noborder
set boxwidth 0.9
set yrange [0:*]
set grid ytics
set ylabel "ns"
set xtics rotate by -35 noenhanced
plot data using 2:xtic(1) title "median", data using 3 title "minimum"
