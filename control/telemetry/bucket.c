/* SPDX-License-Identifier: BSD-3-Clause */
#include "bucket.h"
#include "bus_text.h"
#include "codec.h"
#include "plausible.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 2000
#define BYTES_MAX (64 << 20) /* thousands of sites; reserved on each server */
#define REPLICAS_MAX 3

static int fail(char *why, size_t bytes, const char *what, natsStatus status)
{
	const char *text = nats_GetLastError(NULL);

	snprintf(why, bytes, "%s: %s%s", what, bus_plain(text, status),
		 status == NATS_NO_RESPONDERS ? "; has nats-server JetStream (-js)?" : "");
	return -EIO;
}

/* Others may have made it, with settings by which it keeps no report, or filled it. */
static int check_settings(jsCtx *js, char *why, size_t bytes)
{
	static const char anew[] = "to have it made anew: nats stream rm " SUBJECT_STREAM;
	jsStreamInfo *info = NULL;
	int result = 0;

	if (js_GetStreamInfo(&info, js, SUBJECT_STREAM, NULL, NULL) != NATS_OK)
		return 0; /* may not look */
	if (info->Config->MaxMsgSize > 0 && info->Config->MaxMsgSize < CODEC_DATAGRAM_MAX) {
		snprintf(why, bytes, "bucket %s keeps no more than %d bytes a report; %s",
			 SUBJECT_BUCKET, info->Config->MaxMsgSize, anew);
		result = -EINVAL;
	} else if (info->Config->MaxBytes > 0 &&
		   info->State.Bytes + CODEC_DATAGRAM_MAX > (uint64_t)info->Config->MaxBytes) {
		snprintf(why, bytes, "bucket %s is full, %lu of %ld bytes; see who fills it, %s",
			 SUBJECT_BUCKET, (unsigned long)info->State.Bytes,
			 (long)info->Config->MaxBytes, anew);
		result = -EINVAL;
	}
	jsStreamInfo_Destroy(info);
	return result;
}

/* Servers of the cluster that the client was told of. */
static int servers_known(natsConnection *nc)
{
	char **server = NULL;
	int servers = 0;

	if (natsConnection_GetServers(nc, &server, &servers) != NATS_OK)
		return 1;
	for (int i = 0; i < servers; i++)
		free(server[i]);
	free(server);
	return servers;
}

static natsStatus create(kvStore **kv, jsCtx *js, natsConnection *nc)
{
	kvConfig config;
	natsStatus status;

	kvConfig_Init(&config);
	config.Bucket = SUBJECT_BUCKET;
	config.Description = "last load reports of suanlu";
	config.MaxValueSize = CODEC_DATAGRAM_MAX;
	config.MaxBytes = BYTES_MAX;
	config.History = 1;
	config.TTL = (int64_t)PLAUSIBLE_VALID_FOR_MS_MAX * 1000000;
	config.StorageType = js_MemoryStorage;
	config.Replicas = servers_known(nc) >= REPLICAS_MAX ? REPLICAS_MAX : 1;
	status = js_CreateKeyValue(kv, js, &config);
	if (status == NATS_OK || config.Replicas == 1)
		return status;
	config.Replicas = 1; /* names of one server, or not a cluster */
	return js_CreateKeyValue(kv, js, &config);
}

static natsStatus read_all(kvStore *kv, bus_take *take, void *argument)
{
	kvWatchOptions options;
	kvWatcher *watcher = NULL;
	kvEntry *entry = NULL;
	natsStatus status;

	kvWatchOptions_Init(&options);
	options.IgnoreDeletes = true;
	status = kvStore_WatchAll(&watcher, kv, &options);
	while (status == NATS_OK) {
		char subject[SUBJECT_TEXT + 64];

		status = kvWatcher_Next(&entry, watcher, WAIT_MS);
		if (status != NATS_OK || !entry)
			break;
		snprintf(subject, sizeof(subject), SUBJECT_PREFIX "%.100s", kvEntry_Key(entry));
		take(argument, subject, kvEntry_Value(entry), (size_t)kvEntry_ValueLen(entry));
		kvEntry_Destroy(entry);
	}
	kvWatcher_Destroy(watcher);
	return status;
}

int bucket_keep(natsConnection *nc, bus_take *take, void *argument, char *why, size_t why_bytes)
{
	kvStore *kv = NULL;
	jsCtx *js = NULL;
	jsOptions options;
	natsStatus status;
	int result = 0;

	jsOptions_Init(&options);
	options.Wait = WAIT_MS;
	status = natsConnection_JetStream(&js, nc, &options);
	if (status == NATS_OK)
		status = js_KeyValue(&kv, js, SUBJECT_BUCKET);
	if (status == NATS_NOT_FOUND)
		status = create(&kv, js, nc);
	if (status != NATS_OK)
		result = fail(why, why_bytes, "bucket " SUBJECT_BUCKET, status);
	if (result == 0 && take) {
		status = read_all(kv, take, argument);
		if (status != NATS_OK)
			result = fail(why, why_bytes, "reading bucket " SUBJECT_BUCKET, status);
	}
	if (result == 0)
		result = check_settings(js, why, why_bytes);
	kvStore_Destroy(kv);
	jsCtx_Destroy(js);
	return result;
}
