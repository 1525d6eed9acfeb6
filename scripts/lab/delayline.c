/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * delayline IFA IFB MS [IFA IFB MS ...]: joins pairs of interfaces of this network
 * namespace, every frame one way delayed by MS milliseconds, both ways alike.
 *
 *	IFA <-- queue, MS --> IFB
 *
 * A frame leaves MS after the kernel's receive timestamp, so late reading costs no
 * accuracy: while frames are in transit the sockets are read in batches, and the
 * process sleeps in between. Each direction holds at most QUEUE_FRAMES; what comes then is
 * dropped and counted (drop-tail). For links of the lab: offloads must be off.
 *
 * --control FIFO takes lines: "delay IFA MS", "cut IFA", "join IFA". Counters of
 * each direction go to stdout at SIGTERM.
 */
#include <argp.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <math.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAIRS_MAX 16
#define QUEUE_FRAMES 8192 /* a power of two */
#define FRAME_BYTES 4096
#define BATCH 64
#define READ_EVERY_NS 500000 /* while frames are in transit, but at least twice a delay */

struct queue {
	int64_t release_ns[QUEUE_FRAMES];
	uint32_t bytes[QUEUE_FRAMES];
	uint8_t (*frame)[FRAME_BYTES];
	uint32_t head, tail; /* tail - head: frames held */
	uint64_t passed, full, cut;
};

struct line {
	const char *name[2];
	int socket[2];
	int64_t delay_ns;
	bool cut;
	struct queue queue[2]; /* [i]: received on socket[i], leaves by socket[!i] */
};

static struct line line[PAIRS_MAX];
static unsigned lines;
static volatile sig_atomic_t stopped;

static int64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int port_open(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int one = 1, bytes = 32 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		error(1, errno, "packet socket");
	at.sll_ifindex = if_nametoindex(name);
	if (!at.sll_ifindex)
		error(1, 0, "no interface %s in this namespace", name);
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		error(1, errno, "%s", name);
	return fd;
}

static int64_t received_ns(struct msghdr *message)
{
	struct timespec t = {};

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
			memcpy(&t, CMSG_DATA(c), sizeof(t));
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void queue_take(struct line *l, int from, struct mmsghdr *message, int64_t skew_ns)
{
	struct queue *queue = &l->queue[from];
	uint32_t last = (queue->tail - 1) % QUEUE_FRAMES, slot = queue->tail % QUEUE_FRAMES;
	int64_t release_ns = received_ns(&message->msg_hdr) - skew_ns + l->delay_ns;

	if (l->cut) {
		queue->cut++;
		return;
	}
	/* A shortened delay must not reorder frames. */
	if (queue->tail != queue->head && release_ns < queue->release_ns[last])
		release_ns = queue->release_ns[last];
	queue->release_ns[slot] = release_ns;
	queue->bytes[slot] = message->msg_len;
	queue->tail++;
}

/* Reads what has come into the free slots of the queue; false: nothing more is there. */
static bool line_read(struct line *l, int from)
{
	struct queue *queue = &l->queue[from];
	struct mmsghdr message[BATCH] = {};
	struct iovec part[BATCH];
	static uint8_t waste[FRAME_BYTES];
	char control[BATCH][CMSG_SPACE(sizeof(struct timespec))];
	uint32_t room = QUEUE_FRAMES - (queue->tail - queue->head);
	bool drop = room == 0;
	int64_t skew_ns;
	int got;

	for (unsigned i = 0; i < BATCH; i++) {
		part[i].iov_base = drop ? waste : queue->frame[(queue->tail + i) % QUEUE_FRAMES];
		part[i].iov_len = FRAME_BYTES;
		message[i].msg_hdr = (struct msghdr){.msg_iov = &part[i],
						     .msg_iovlen = 1,
						     .msg_control = control[i],
						     .msg_controllen = sizeof(control[i])};
	}
	got = recvmmsg(l->socket[from], message, drop || room > BATCH ? BATCH : room, 0, NULL);
	if (got <= 0)
		return false;
	skew_ns = now_ns(CLOCK_REALTIME) - now_ns(CLOCK_MONOTONIC);
	if (drop)
		queue->full += got;
	for (int i = 0; i < got && !drop; i++)
		queue_take(l, from, &message[i], skew_ns);
	return got == BATCH;
}

static void line_release(struct line *l, int from, int64_t until_ns)
{
	struct queue *queue = &l->queue[from];
	struct mmsghdr message[BATCH] = {};
	struct iovec part[BATCH];

	while (queue->head != queue->tail) {
		unsigned due = 0;

		for (uint32_t i = queue->head; i != queue->tail && due < BATCH; i++, due++) {
			uint32_t slot = i % QUEUE_FRAMES;

			if (queue->release_ns[slot] > until_ns)
				break;
			part[due] = (struct iovec){queue->frame[slot], queue->bytes[slot]};
			message[due].msg_hdr =
				(struct msghdr){.msg_iov = &part[due], .msg_iovlen = 1};
		}
		if (!due)
			return;
		for (unsigned sent = 0; sent < due;) {
			int n = sendmmsg(l->socket[!from], message + sent, due - sent, 0);

			/* A frame that the far end refuses (down, too long) is lost. */
			queue->passed += n > 0 ? n : 0;
			queue->full += n > 0 ? 0 : 1;
			sent += n > 0 ? n : 1;
		}
		queue->head += due;
	}
}

static void control_command(char *text)
{
	char verb[8], name[IFNAMSIZ];
	double ms = 0;
	int words = sscanf(text, "%7s %15s %lf", verb, name, &ms);

	for (unsigned i = 0; i < lines && words >= 2; i++) {
		if (strcmp(line[i].name[0], name) && strcmp(line[i].name[1], name))
			continue;
		if (!strcmp(verb, "delay") && words == 3 && ms >= 0)
			line[i].delay_ns = llrint(ms * 1e6);
		else if (!strcmp(verb, "cut") || !strcmp(verb, "join"))
			line[i].cut = verb[0] == 'c';
		else
			break;
		return;
	}
	error(0, 0, "not a command: %s", text);
}

static void control_read(int fd)
{
	static char text[512];
	static size_t held;
	ssize_t got = read(fd, text + held, sizeof(text) - 1 - held);
	char *end;

	if (got <= 0)
		return;
	held += got;
	text[held] = 0;
	while ((end = strchr(text, '\n'))) {
		*end = 0;
		control_command(text);
		held -= end + 1 - text;
		memmove(text, end + 1, held + 1);
	}
	if (held == sizeof(text) - 1)
		held = 0;
}

/* When to look again: at the next release, but read early enough for the shortest delay. */
static int64_t next_wake_ns(int64_t now)
{
	int64_t next_ns = INT64_MAX;

	for (unsigned i = 0; i < 2 * lines; i++) {
		struct queue *queue = &line[i / 2].queue[i % 2];

		if (queue->head != queue->tail &&
		    queue->release_ns[queue->head % QUEUE_FRAMES] < next_ns)
			next_ns = queue->release_ns[queue->head % QUEUE_FRAMES];
	}
	for (unsigned i = 0; i < lines && next_ns != INT64_MAX; i++) {
		int64_t early_ns = line[i].delay_ns / 2;

		early_ns = now + (early_ns < READ_EVERY_NS ? early_ns : READ_EVERY_NS);
		next_ns = early_ns < next_ns ? early_ns : next_ns;
	}
	return next_ns;
}

static void serve(int control, const sigset_t *signals)
{
	struct pollfd poll[1 + 2 * PAIRS_MAX] = {{.fd = control, .events = POLLIN}};

	for (unsigned i = 0; i < 2 * lines; i++)
		poll[1 + i] = (struct pollfd){line[i / 2].socket[i % 2], POLLIN, 0};
	while (!stopped) {
		int64_t now = now_ns(CLOCK_MONOTONIC), wake_ns = next_wake_ns(now);
		int64_t wait_ns = wake_ns > now ? wake_ns - now : 0;
		struct timespec wait = {wait_ns / 1000000000, wait_ns % 1000000000};
		bool idle = wake_ns == INT64_MAX;

		/* With frames in transit, frames that arrive need not wake us. */
		if (ppoll(poll, idle ? 1 + 2 * lines : 1, idle ? NULL : &wait, signals) > 0 &&
		    poll[0].revents)
			control_read(control);
		for (unsigned i = 0; i < 2 * lines; i++)
			while (line_read(&line[i / 2], i % 2))
				line_release(&line[i / 2], i % 2, now_ns(CLOCK_MONOTONIC));
		for (unsigned i = 0; i < 2 * lines; i++)
			line_release(&line[i / 2], i % 2, now_ns(CLOCK_MONOTONIC));
	}
}

static void on_stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static void line_add(const char *a, const char *b, const char *ms)
{
	struct line *l = &line[lines++];
	char *end;

	l->delay_ns = llrint(strtod(ms, &end) * 1e6);
	if (*end || l->delay_ns < 0)
		error(1, 0, "%s: expected a delay in milliseconds", ms);
	for (int i = 0; i < 2; i++) {
		l->name[i] = i ? b : a;
		l->socket[i] = port_open(l->name[i]);
		l->queue[i].frame =
			mmap(NULL, (size_t)QUEUE_FRAMES * FRAME_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (l->queue[i].frame == MAP_FAILED)
			error(1, errno, "queue of %s", l->name[i]);
	}
}

static const char *control_name;

static error_t option(int key, char *arg, struct argp_state *state)
{
	static const char *word[3];
	static unsigned words;

	if (key == 'c') {
		control_name = arg;
	} else if (key == ARGP_KEY_ARG) {
		word[words++] = arg;
		if (words == 3 && lines == PAIRS_MAX)
			argp_error(state, "at most %d pairs", PAIRS_MAX);
		if (words == 3)
			line_add(word[0], word[1], word[2]), words = 0;
	} else if (key == ARGP_KEY_END && (words || !lines)) {
		argp_error(state, "expected triples IFA IFB MS");
	} else {
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"control", 'c', "FIFO", 0, "Take commands from this FIFO (created)", 0}, {}};
	static const struct argp argp = {
		options, option, "IFA IFB MS...", "Joins pairs of interfaces with a delay.", 0,
		0,	 0};
	sigset_t blocked, before;
	int control = -1;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (control_name) {
		if (mkfifo(control_name, 0600) < 0 && errno != EEXIST)
			error(1, errno, "%s", control_name);
		control = open(control_name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (control < 0)
			error(1, errno, "%s", control_name);
	}
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	signal(SIGTERM, on_stop);
	signal(SIGINT, on_stop);
	prctl(PR_SET_TIMERSLACK, 1000UL);
	printf("ready\n");
	fflush(stdout);
	serve(control, &before);
	for (unsigned i = 0; i < 2 * lines; i++) {
		struct queue *queue = &line[i / 2].queue[i % 2];

		printf("%s to %s: passed %ju, queue full %ju, cut %ju\n", line[i / 2].name[i % 2],
		       line[i / 2].name[!(i % 2)], (uintmax_t)queue->passed, (uintmax_t)queue->full,
		       (uintmax_t)queue->cut);
	}
	return 0;
}
