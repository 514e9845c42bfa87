/* Many proxies in one process, for `python -m bench.xds`: each has a connection and a delta ADS stream of its own,
 * asks for what an Envoy asks for in the same order (clusters, endpoints by name, listeners, routes by name) and
 * acknowledges every response.
 *
 * Arguments: PROXIES CLASSES SOCKET NAMES ROUTES. `%d` in SOCKET stands for the number of the proxy (one socket each). NAMES
 * is a file with one name of an endpoint assignment per line, ROUTES the name of the only route configuration. Proxy p
 * is of class p % CLASSES, which it says as its node's cluster. Commands on stdin, a line of JSON for each:
 *
 *   connect         everybody connects; answered when all have everything
 *   expect MARKER   answered when all acknowledged a response that contains MARKER; a first line says that it is armed
 *   drop            everybody hangs up
 *   reconnect       everybody comes back, with the versions that it has, and asks for everything at once
 *   stat            bytes received so far, connections that the server ended, CPU seconds
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CDS, EDS, LDS, RDS, TYPES };
enum { DATA = 0, HEADERS = 1, RESET = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };
enum { LARGEST_FRAME = 16384, STREAM_WINDOW = 16 << 20, CONNECTION_WINDOW = 24 << 20, SMALL = 1 << 18, DEFAULT_WINDOW = 65535 };

static const char *URLS[TYPES] = {
    "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    "type.googleapis.com/envoy.config.listener.v3.Listener",
    "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
};
static const char METHOD[] = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

typedef struct {
    uint8_t *at;
    size_t length, room;
} Buffer;

typedef struct {
    int fd, number;
    uint8_t header[9];
    int header_length;
    uint32_t left;               /* of the frame's payload */
    uint8_t control[64];         /* payload of a frame that is no DATA */
    int control_length;
    uint8_t prefix[5];           /* before a gRPC message */
    int prefix_length;
    uint32_t message_left;
    int whole;                   /* the message is kept as a whole; otherwise only its short fields */
    Buffer message;
    uint8_t tag[24];             /* of a message that is not kept: tag and length of the next field */
    int tag_length;
    uint64_t skip;
    int field;
    char url[96], nonce[32];
    int url_length, nonce_length;
    int64_t may_send, may_send_on_stream;
    uint32_t peer_window, taken, taken_on_stream;
    Buffer body, out;            /* waiting for a window; waiting for the socket */
    int stage, waits, wants_write;
    double acknowledged;
} Proxy;

typedef struct {
    char *name, *version;
} Held;

typedef struct {
    Held *items;
    size_t count, room;
} HeldList;

static Proxy *proxies;
static HeldList (*held)[TYPES]; /* by class; as the first proxy of the class has it */
static Buffer (*returning)[TYPES]; /* by class; what is asked for on coming back, made before anything else comes */
static int count, classes, loop;
static const char *socket_path, *routes;
static Buffer names;
static char marker[256];
static int arming, connecting, missing;
static uint64_t received, received_before, hung_up;
static double began;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void die(const char *why) {
    fprintf(stderr, "proxies: %s (%s)\n", why, strerror(errno));
    exit(1);
}

static void append(Buffer *buffer, const void *data, size_t length) {
    if (buffer->length + length > buffer->room) {
        buffer->room = (buffer->length + length) * 2;
        if (!(buffer->at = realloc(buffer->at, buffer->room))) die("no memory");
    }
    memcpy(buffer->at + buffer->length, data, length);
    buffer->length += length;
}

static void drop_front(Buffer *buffer, size_t length) {
    buffer->length -= length;
    if (buffer->length) {
        memmove(buffer->at, buffer->at + length, buffer->length);
    } else if (buffer->room > SMALL) {
        free(buffer->at);
        *buffer = (Buffer){0};
    }
}

/* ---------------------------------------------------------------- writing */

static void frame_header(uint8_t *to, uint32_t length, int type, int flags, uint32_t stream) {
    uint8_t header[9] = {length >> 16, length >> 8, length, type, flags, stream >> 24, stream >> 16, stream >> 8, stream};
    memcpy(to, header, 9);
}

static void put_frame(Proxy *proxy, int type, int flags, uint32_t stream, const void *payload, uint32_t length) {
    uint8_t header[9];
    frame_header(header, length, type, flags, stream);
    append(&proxy->out, header, 9);
    append(&proxy->out, payload, length);
}

static void put_window(Proxy *proxy, uint32_t stream, uint32_t by) {
    uint8_t payload[4] = {by >> 24, by >> 16, by >> 8, by};
    put_frame(proxy, WINDOW_UPDATE, 0, stream, payload, 4);
}

static void varint(Buffer *to, uint64_t value) {
    uint8_t bytes[10];
    int length = 0;
    for (; value > 127; value >>= 7) bytes[length++] = (value & 127) | 128;
    bytes[length++] = value;
    append(to, bytes, length);
}

static void text_field(Buffer *to, int number, const void *text, size_t length) {
    varint(to, number << 3 | 2);
    varint(to, length);
    append(to, text, length);
}

static void send_message(Proxy *proxy, const Buffer *message) {
    uint8_t prefix[5] = {0, message->length >> 24, message->length >> 16, message->length >> 8, message->length};
    append(&proxy->body, prefix, 5);
    append(&proxy->body, message->at, message->length);
}

static void flush(Proxy *proxy) {
    size_t done = 0;
    while (proxy->body.length > done && proxy->may_send > 0 && proxy->may_send_on_stream > 0) {
        int64_t length = proxy->body.length - done;
        if (length > proxy->may_send) length = proxy->may_send;
        if (length > proxy->may_send_on_stream) length = proxy->may_send_on_stream;
        if (length > LARGEST_FRAME) length = LARGEST_FRAME;
        put_frame(proxy, DATA, 0, 1, proxy->body.at + done, length);
        done += length;
        proxy->may_send -= length;
        proxy->may_send_on_stream -= length;
    }
    if (done) drop_front(&proxy->body, done);
    done = 0;
    while (done < proxy->out.length) {
        ssize_t sent = send(proxy->fd, proxy->out.at + done, proxy->out.length - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) break; /* full, or ended: the loop hears of it */
        done += sent;
    }
    if (done) drop_front(&proxy->out, done);
    int wants = proxy->out.length > 0;
    if (wants != proxy->wants_write) {
        struct epoll_event event = {.events = EPOLLIN | (wants ? EPOLLOUT : 0), .data.ptr = proxy};
        epoll_ctl(loop, EPOLL_CTL_MOD, proxy->fd, &event);
        proxy->wants_write = wants;
    }
}

/* ---------------------------------------------------------------- what an Envoy says */

/* What is asked for of a type, without the node; with versions: as somebody who was here before. */
static void question(Buffer *request, int type, int class, int with_versions) {
    static Buffer part;
    text_field(request, 2, URLS[type], strlen(URLS[type]));
    if (type == EDS)
        for (uint8_t *name = names.at, *end = name + names.length; name < end; name += strlen((char *)name) + 1)
            text_field(request, 3, name, strlen((char *)name));
    if (type == RDS) text_field(request, 3, routes, strlen(routes));
    HeldList *list = &held[class][type];
    for (size_t i = 0; with_versions && i < list->count; i++) {
        part.length = 0;
        text_field(&part, 1, list->items[i].name, strlen(list->items[i].name));
        text_field(&part, 2, list->items[i].version, strlen(list->items[i].version));
        text_field(request, 5, part.at, part.length);
    }
}

static void ask(Proxy *proxy, int type, int is_back) {
    static Buffer request, node;
    request.length = node.length = 0;
    int class = proxy->number % classes;
    if (type == CDS) { /* the first on a stream */
        char id[96], cluster[32];
        int length = snprintf(id, sizeof id, "sidecar~10.0.%d.%d~pod-%d.default~default.svc.cluster.local",
                              proxy->number / 250, proxy->number % 250, proxy->number);
        text_field(&node, 1, id, length);
        text_field(&node, 2, cluster, snprintf(cluster, sizeof cluster, "class-%d", class));
        text_field(&request, 1, node.at, node.length);
    }
    if (is_back) append(&request, returning[class][type].at, returning[class][type].length);
    else question(&request, type, class, 0);
    send_message(proxy, &request);
}

static void literal(Buffer *to, const char *name, const char *value) {
    uint8_t length = strlen(name);
    append(to, "\0", 1);
    append(to, &length, 1);
    append(to, name, length);
    length = strlen(value);
    append(to, &length, 1);
    append(to, value, length);
}

static void open_proxy(int number, int back) {
    static Buffer headers;
    Proxy *proxy = &proxies[number];
    Buffer message = proxy->message, body = proxy->body, out = proxy->out;
    memset(proxy, 0, sizeof *proxy);
    proxy->message = message, proxy->body = body, proxy->out = out;
    proxy->message.length = proxy->body.length = proxy->out.length = 0;
    proxy->number = number;
    proxy->waits = 1;
    proxy->stage = back ? TYPES : CDS;
    proxy->may_send = proxy->may_send_on_stream = proxy->peer_window = DEFAULT_WINDOW;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, socket_path, number);
    proxy->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (proxy->fd < 0 || connect(proxy->fd, (void *)&address, sizeof address)) die(address.sun_path);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = proxy};
    epoll_ctl(loop, EPOLL_CTL_ADD, proxy->fd, &event);
    append(&proxy->out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    uint8_t window[6] = {0, 4, STREAM_WINDOW >> 24, STREAM_WINDOW >> 16 & 255, STREAM_WINDOW >> 8 & 255, STREAM_WINDOW & 255};
    put_frame(proxy, SETTINGS, 0, 0, window, 6);
    put_window(proxy, 0, CONNECTION_WINDOW - DEFAULT_WINDOW);
    headers.length = 0;
    append(&headers, "\x83\x86", 2); /* POST, http */
    literal(&headers, ":path", METHOD);
    literal(&headers, ":authority", "xds");
    literal(&headers, "content-type", "application/grpc");
    literal(&headers, "te", "trailers");
    put_frame(proxy, HEADERS, END_HEADERS, 1, headers.at, headers.length);
    ask(proxy, CDS, back);
    for (int type = EDS; back && type < TYPES; type++) ask(proxy, type, 1);
    flush(proxy);
}

/* ---------------------------------------------------------------- reading */

static uint64_t read_varint(const uint8_t **at, const uint8_t *end) {
    uint64_t value = 0;
    for (int shift = 0; *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) break;
    }
    return value;
}

static void remember(HeldList *list, const char *name, size_t name_length, const char *version, size_t version_length) {
    size_t i = 0;
    while (i < list->count && (strlen(list->items[i].name) != name_length || memcmp(list->items[i].name, name, name_length))) i++;
    if (i == list->count) {
        if (i == list->room) {
            list->room = list->room * 2 + 16;
            if (!(list->items = realloc(list->items, list->room * sizeof(Held)))) die("no memory");
        }
        list->items[list->count++] = (Held){strndup(name, name_length), NULL};
    }
    free(list->items[i].version);
    list->items[i].version = strndup(version, version_length);
}

static void remember_resource(HeldList *list, const uint8_t *at, size_t length) {
    const uint8_t *end = at + length;
    const char *name = "", *version = "";
    size_t name_length = 0, version_length = 0;
    while (at < end) {
        int field = read_varint(&at, end) >> 3;
        uint64_t size = read_varint(&at, end);
        if (field == 3) name = (const char *)at, name_length = size;
        if (field == 1) version = (const char *)at, version_length = size;
        at += size;
    }
    remember(list, name, name_length, version, version_length);
}

static int type_of(const Proxy *proxy) {
    for (int type = 0; type < TYPES; type++)
        if ((size_t)proxy->url_length == strlen(URLS[type]) && !memcmp(proxy->url, URLS[type], proxy->url_length)) return type;
    die("a response of a type that nobody asked for");
    return TYPES;
}

static void short_field(Proxy *proxy, int field, const uint8_t *at, size_t length) {
    char *to = field == 4 ? proxy->url : proxy->nonce;
    int *known = field == 4 ? &proxy->url_length : &proxy->nonce_length;
    size_t room = field == 4 ? sizeof proxy->url : sizeof proxy->nonce;
    if (*known + length > room) die("a type or nonce of unexpected length");
    memcpy(to + *known, at, length);
    *known += length;
}

static int compare(const void *one, const void *other) {
    double difference = *(const double *)one - *(const double *)other;
    return (difference > 0) - (difference < 0);
}

static void tell_done(void) {
    double *times = malloc(count * sizeof *times);
    for (int i = 0; i < count; i++) times[i] = proxies[i].acknowledged;
    qsort(times, count, sizeof *times, compare);
    printf("{\"began\": %.6f, \"half\": %.6f, \"last\": %.6f, \"bytes\": %lu}\n", began, times[count / 2], times[count - 1],
           received - received_before);
    free(times);
    arming = connecting = 0;
}

static void arrived(Proxy *proxy) {
    proxy->waits = 0;
    proxy->acknowledged = now();
    if (!--missing) tell_done();
}

static void parse_whole(Proxy *proxy) {
    const uint8_t *at = proxy->message.at, *end = at + proxy->message.length;
    while (at < end) {
        uint64_t tag = read_varint(&at, end), size = read_varint(&at, end);
        if ((tag & 7) != 2 || size > (size_t)(end - at)) die("not a response");
        if (tag >> 3 == 4 || tag >> 3 == 5) short_field(proxy, tag >> 3, at, size);
        at += size;
    }
    if (proxy->number >= classes) return;
    HeldList *list = &held[proxy->number][type_of(proxy)];
    for (at = proxy->message.at; at < end;) {
        uint64_t tag = read_varint(&at, end), size = read_varint(&at, end);
        if (tag >> 3 == 2) remember_resource(list, at, size);
        at += size;
    }
}

static void message_done(Proxy *proxy) {
    static Buffer request;
    if (proxy->whole) parse_whole(proxy);
    int type = type_of(proxy);
    request.length = 0;
    text_field(&request, 2, proxy->url, proxy->url_length);
    text_field(&request, 6, proxy->nonce, proxy->nonce_length);
    send_message(proxy, &request);
    int marked = arming && proxy->waits && proxy->whole &&
                 memmem(proxy->message.at, proxy->message.length, marker, strlen(marker));
    int ready = 0;
    if (type == proxy->stage) { /* the first response of what was asked for last */
        proxy->stage++;
        if (proxy->stage < TYPES) ask(proxy, proxy->stage, 0);
        else ready = connecting && proxy->waits;
    }
    flush(proxy);
    if (proxy->message.room > SMALL) {
        free(proxy->message.at);
        proxy->message = (Buffer){0};
    }
    if (marked || ready) arrived(proxy);
}

/* A large message is not kept: its fields are walked over, and the short ones of interest noted. */
static void walk(Proxy *proxy, const uint8_t *at, size_t length) {
    const uint8_t *end = at + length;
    while (at < end) {
        if (proxy->skip) {
            size_t size = proxy->skip < (size_t)(end - at) ? proxy->skip : (size_t)(end - at);
            if (proxy->field == 4 || proxy->field == 5) short_field(proxy, proxy->field, at, size);
            at += size;
            proxy->skip -= size;
            continue;
        }
        proxy->tag[proxy->tag_length++] = *at++;
        const uint8_t *tag = proxy->tag, *tag_end = proxy->tag + proxy->tag_length;
        int ends = 0;
        for (int i = 0; i < proxy->tag_length; i++) ends += proxy->tag[i] < 128;
        if (ends < 2) continue;
        proxy->field = read_varint(&tag, tag_end) >> 3;
        proxy->skip = read_varint(&tag, tag_end);
        proxy->tag_length = 0;
    }
}

static void body(Proxy *proxy, const uint8_t *at, size_t length) {
    while (length) {
        if (proxy->prefix_length < 5) {
            proxy->prefix[proxy->prefix_length++] = *at++;
            length--;
            if (proxy->prefix_length < 5) continue;
            uint8_t *size = proxy->prefix + 1;
            proxy->message_left = (uint32_t)size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3];
            proxy->whole = proxy->message_left <= SMALL || proxy->number < classes;
            proxy->message.length = proxy->tag_length = proxy->skip = 0;
            proxy->url_length = proxy->nonce_length = 0;
            if (!proxy->message_left) die("an empty response");
            continue;
        }
        size_t size = length < proxy->message_left ? length : proxy->message_left;
        if (proxy->whole) append(&proxy->message, at, size);
        else walk(proxy, at, size);
        at += size;
        length -= size;
        proxy->message_left -= size;
        if (!proxy->message_left) {
            proxy->prefix_length = 0;
            message_done(proxy);
        }
    }
}

static void control(Proxy *proxy) {
    int type = proxy->header[3], flags = proxy->header[4];
    uint8_t *at = proxy->control;
    if (type == SETTINGS && !(flags & ACK)) {
        for (int i = 0; i + 6 <= proxy->control_length; i += 6) {
            uint32_t value = (uint32_t)at[i + 2] << 24 | at[i + 3] << 16 | at[i + 4] << 8 | at[i + 5];
            if (at[i] == 0 && at[i + 1] == 4) {
                proxy->may_send_on_stream += (int64_t)value - proxy->peer_window;
                proxy->peer_window = value;
            }
        }
        put_frame(proxy, SETTINGS, ACK, 0, "", 0);
    } else if (type == PING && !(flags & ACK)) {
        put_frame(proxy, PING, ACK, 0, at, 8);
    } else if (type == WINDOW_UPDATE) {
        int64_t by = (uint32_t)(at[0] & 127) << 24 | at[1] << 16 | at[2] << 8 | at[3];
        if (proxy->header[8]) proxy->may_send_on_stream += by;
        else proxy->may_send += by;
    } else if (type == RESET || type == GOAWAY || (type == HEADERS && flags & END_STREAM)) {
        if (!hung_up++ && connecting) printf("{\"lost\": %d}\n", proxy->number);
        return;
    } else {
        return;
    }
    flush(proxy);
}

static void take(Proxy *proxy, uint32_t length) {
    proxy->taken += length;
    proxy->taken_on_stream += length;
    if (proxy->taken > CONNECTION_WINDOW / 2) put_window(proxy, 0, proxy->taken), proxy->taken = 0;
    if (proxy->taken_on_stream > STREAM_WINDOW / 2) put_window(proxy, 1, proxy->taken_on_stream), proxy->taken_on_stream = 0;
}

static void feed(Proxy *proxy, const uint8_t *at, size_t length) {
    received += length;
    while (length) {
        if (proxy->header_length < 9) {
            proxy->header[proxy->header_length++] = *at++;
            length--;
            if (proxy->header_length < 9) continue;
            proxy->left = proxy->header[0] << 16 | proxy->header[1] << 8 | proxy->header[2];
            proxy->control_length = 0;
            if (proxy->header[3] == DATA && proxy->header[4] & PADDED) die("padded data");
        }
        size_t size = length < proxy->left ? length : proxy->left;
        int is_data = proxy->header[3] == DATA;
        proxy->left -= size;
        if (!proxy->left) proxy->header_length = 0;
        if (is_data) {
            take(proxy, size);
            body(proxy, at, size);
        } else {
            for (size_t i = 0; i < size && proxy->control_length < (int)sizeof proxy->control; i++)
                proxy->control[proxy->control_length++] = at[i];
            if (!proxy->left) control(proxy);
        }
        at += size;
        length -= size;
    }
}

static void ready(Proxy *proxy, uint32_t events) {
    static uint8_t data[1 << 18];
    if (events & EPOLLOUT) flush(proxy);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    ssize_t length = recv(proxy->fd, data, sizeof data, MSG_DONTWAIT);
    if (length > 0) feed(proxy, data, length);
    else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
        hung_up++;
        epoll_ctl(loop, EPOLL_CTL_DEL, proxy->fd, NULL);
    }
}

/* ---------------------------------------------------------------- commands */

static void poll_once(int timeout, int *command) {
    struct epoll_event events[256];
    int found = epoll_wait(loop, events, 256, timeout);
    for (int i = 0; i < found; i++) {
        if (events[i].data.ptr) ready(events[i].data.ptr, events[i].events);
        else if (command) *command = 1;
    }
}

static void await_all(int is_connecting) {
    missing = count;
    connecting = is_connecting;
    arming = !is_connecting;
    received_before = received;
    began = now();
    for (int i = 0; i < count; i++) proxies[i].waits = 1;
}

static void open_all(int back) {
    for (int i = 0; back && i < classes * TYPES; i++) {
        returning[i / TYPES][i % TYPES].length = 0;
        question(&returning[i / TYPES][i % TYPES], i % TYPES, i / TYPES, 1);
    }
    for (int i = 0; i < count; i++) {
        open_proxy(i, back);
        if (i % 16 == 15) poll_once(0, NULL);
    }
}

static void obey(char *line) {
    struct rusage usage;
    line[strcspn(line, "\n")] = 0;
    if (!strcmp(line, "connect")) {
        await_all(1);
        open_all(0);
    } else if (!strncmp(line, "expect ", 7)) {
        snprintf(marker, sizeof marker, "%s", line + 7);
        await_all(0);
        printf("{\"armed\": true}\n");
    } else if (!strcmp(line, "drop")) {
        for (int i = 0; i < count; i++) close(proxies[i].fd);
        printf("{\"dropped\": %d}\n", count);
    } else if (!strcmp(line, "reconnect")) {
        open_all(1);
    } else {
        getrusage(RUSAGE_SELF, &usage);
        printf("{\"bytes\": %lu, \"hung_up\": %lu, \"cpu\": %.6f}\n", received, hung_up,
               usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    }
}

static void read_names(const char *path) {
    FILE *file = fopen(path, "r");
    char line[512];
    if (!file) die(path);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        append(&names, line, strlen(line) + 1);
    }
    fclose(file);
}

int main(int argc, char **argv) {
    if (argc != 6) return fprintf(stderr, "usage: proxies PROXIES CLASSES SOCKET NAMES ROUTES\n"), 2;
    count = atoi(argv[1]);
    classes = atoi(argv[2]);
    socket_path = argv[3];
    read_names(argv[4]);
    routes = argv[5];
    proxies = calloc(count, sizeof *proxies);
    held = calloc(classes, sizeof *held);
    returning = calloc(classes, sizeof *returning);
    loop = epoll_create1(EPOLL_CLOEXEC);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(loop, EPOLL_CTL_ADD, 0, &event);
    char line[256];
    for (;;) {
        int command = 0;
        poll_once(-1, &command);
        if (!command) continue;
        ssize_t length = read(0, line, sizeof line - 1); /* one command at a time: the next is sent after the answer */
        if (length <= 0) return 0;
        line[length] = 0;
        obey(line);
    }
}
