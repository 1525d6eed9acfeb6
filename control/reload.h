/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A new configuration while control runs, as one transaction:
 *
 *	read, check -> build beside -> carry over by name -> swap -> tell the dataplane
 *
 * All that may fail comes before the swap, and then nothing has changed. The swap happens
 * between two events of the loop; sockets, connections and counts go on. The dataplane gets a
 * full update (link.h), which it applies service by service without losing a packet.
 */
#pragma once

#include "control.h"

struct reload_count {
	unsigned added, removed, changed;
};

struct reload_summary {
	struct reload_count services, sites, edges;
};

/*
 * Reads control->file again and goes over to it; logs what became of it either way. -errno:
 * refused whole, error->text says why (file, line, key, what was expected).
 */
int reload(struct control *control, struct reload_summary *summary, struct config_error *error);

/* The same configuration with the sites that are announced now (discover.h). */
void reload_discovered(struct control *control);
