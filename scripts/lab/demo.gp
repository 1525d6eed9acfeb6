# SPDX-License-Identifier: BSD-3-Clause
# The demo's picture. Variables: out (directory), start (Unix time of the first phase).
set terminal pngcairo size 1200,900 font "sans,11"
set output out."/demo.png"
set datafile separator "\t"
set multiplot layout 3,1 title "suanlu: requests follow the load (from \"nearest\" on: steered to the nearest site, for contrast)"
set grid
set key outside right
set xlabel ""
set lmargin 10
set rmargin 16
stats out."/samples.tsv" using ($1 - start) nooutput
set xrange [0:STATS_max]

# Phases as vertical lines with their names.
phases = system("cut -f1 '".out."/phases.tsv'")
times = system("cut -f2 '".out."/phases.tsv'")
do for [i = 1:words(phases)] {
    t = real(word(times, i)) - start
    set arrow i from t, graph 0 to t, graph 1 nohead dashtype 2 linecolor "gray40"
    name = word(phases, i)
    name = name eq "end" || name eq "over" ? "" : name
    set label i name at t, graph 0.94 offset 0.4,0 font ",9"
}

set ylabel "share of new requests"
set yrange [0:1.1]
plot for [i = 0:2] out."/samples.tsv" using ($1 - start):(column(5 + 5 * i)) \
    with steps linewidth 2 title "site ".word("a b c", i + 1)

unset label
set ylabel "at the site: in flight + queued"
set yrange [0.4:*]
shown(n) = n > 0 ? n : 0.5 # the axis is logarithmic
set logscale y
plot for [i = 0:2] out."/samples.tsv" using ($1 - start):(shown(column(3 + 5 * i) + column(4 + 5 * i))) \
    with steps linewidth 2 title "site ".word("a b c", i + 1)

set xlabel "seconds"
set ylabel "latency from due, ms"
set yrange [10:*]
plot out."/seconds.tsv" using ($1 - start):2 with linespoints pointtype 7 pointsize 0.4 title "p50", \
    out."/seconds.tsv" using ($1 - start):3 with linespoints pointtype 7 pointsize 0.4 title "p99"
