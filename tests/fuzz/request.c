/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client writes to control.sock, answered by a control that runs but hears nobody. */
#include "control/answer.h"
#include "control/log.h"
#include "fuzz.h"
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static const char configuration[] = "node: edge1\n"
				    "address: fc00:e::1\n"
				    "run_dir: %s\n"
				    "dataplane:\n"
				    "  ports: [lo]\n"
				    "services:\n"
				    "  - name: infer\n"
				    "    ipv4: 192.0.2.80\n"
				    "    protocol: tcp\n"
				    "    port: 80\n"
				    "sites:\n"
				    "  - name: a\n"
				    "    sid: fc00:a:0:46::1\n";
static struct control control;
static struct answer answer;
static char run_dir[] = "/tmp/suanlu-fuzz-XXXXXX";

static void clean_up(void)
{
	char command[64];

	answer_close(&answer);
	answer_close(&answer); /* may be called twice */
	control_close(&control);
	snprintf(command, sizeof command, "rm -rf %s", run_dir);
	assert(system(command) == 0);
}

static int join(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, answer.path, sizeof address.sun_path);
	assert(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	event_base_loop(control.base, EVLOOP_NONBLOCK);
	return fd;
}

/* One more than there may be: the last is sent away at once. */
static void crowd(void)
{
	int fd[ANSWER_CLIENTS_MAX + 1];

	for (unsigned i = 0; i <= ANSWER_CLIENTS_MAX; i++)
		fd[i] = join();
	event_base_loop(control.base, EVLOOP_NONBLOCK);
	assert(answer.clients == ANSWER_CLIENTS_MAX);
	assert(recv(fd[ANSWER_CLIENTS_MAX], &(char){0}, 1, 0) == 0);
	for (unsigned i = 0; i <= ANSWER_CLIENTS_MAX; i++)
		close(fd[i]);
	while (answer.clients > 0)
		event_base_loop(control.base, EVLOOP_NONBLOCK);
}

static void start(void)
{
	static char file[64]; /* control reads it again when told to */
	struct config_error error = {};
	FILE *stream;

	assert(mkdtemp(run_dir));
	snprintf(file, sizeof file, "%s/suanlu.yaml", run_dir);
	stream = fopen(file, "w");
	assert(stream && fprintf(stream, configuration, run_dir) > 0 && fclose(stream) == 0);
	if (control_open(&control, file, &error) < 0 ||
	    answer_open(&answer, &control, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		abort();
	}
	atexit(clean_up);
	crowd();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char text[4096];
	int fd;

	if (!control.base)
		start();
	fd = join();
	send(fd, data, bytes, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	do {
		event_base_loop(control.base, EVLOOP_NONBLOCK);
		while (recv(fd, text, sizeof text, 0) > 0)
			;
	} while (answer.clients > 0);
	close(fd);
	return 0;
}
