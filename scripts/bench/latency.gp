# SPDX-License-Identifier: BSD-3-Clause
# CDF of bench-latency.sh: gnuplot -e "dir='DIR'; out='FILE'" latency.gp
set terminal pngcairo size 900,560 font 'sans,11'
set output out
set title "one-way delay of a 64-byte request over veth"
set xlabel "microseconds"
set ylabel "share of requests"
set logscale x
set xrange [1:200]
set yrange [0:1]
set grid
set key right bottom
plot dir.'/kernel-bridge.cdf' with lines lw 2 title "kernel bridge", \
     dir.'/testpmd-af-xdp.cdf' with lines lw 2 title "testpmd io over AF\\_XDP", \
     dir.'/suanlu.cdf' with lines lw 2 title "suanlu: pinned flow, SRv6"
