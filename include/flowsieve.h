/*
 * flowsieve.h - evaluates macOS content-filter rules (NENetworkRule, NEFilterSettings) against flows,
 * exactly and fast. The C interface of the Rust library flowsieve; C99 and later, C++, Objective-C.
 *
 *     fsv_settings *settings = NULL;
 *     fsv_matcher *matcher = NULL;
 *     fsv_error *error = NULL;
 *     if (fsv_settings_parse(json, json_len, 0, &settings, &error) != FSV_STATUS_OK ||
 *         fsv_matcher_new(settings, NULL, &matcher, &error) != FSV_STATUS_OK) {
 *         fprintf(stderr, "%s\n", fsv_error_message(error));
 *         fsv_error_free(error);
 *     }
 *     fsv_settings_free(settings);
 *
 *     fsv_flow flow = FSV_FLOW_INIT;
 *     fsv_decision decision = FSV_DECISION_INIT;
 *     flow.protocol = FSV_PROTOCOL_TCP;
 *     flow.direction = FSV_DIRECTION_OUTBOUND;
 *     fsv_action action = fsv_matcher_failure_action(matcher);
 *     if (fsv_flow_set_remote(&flow, "192.0.2.1", 9, "443", 3) == FSV_STATUS_OK &&
 *         fsv_matcher_decide(matcher, &flow, &decision) == FSV_STATUS_OK) {
 *         action = decision.action;
 *     }
 *     fsv_matcher_free(matcher);
 *
 * CONVENTIONS
 *
 * Status. Every function that can fail returns an fsv_status, FSV_STATUS_OK (0) if it did what it says. A
 * function that cannot fail returns its value, and for NULL the value that its comment names.
 *
 * Outputs come last and are written only on success. There are two exceptions. `error`, always the very
 * last, may be NULL, and is written only on failure, if it is not NULL. `needed`, beside a buffer, is also
 * written on FSV_STATUS_BUFFER_TOO_SMALL. The fsv_flow_set functions change their flow only on success.
 *
 * NULL. Every pointer is checked. Where the comment does not say that NULL is taken, it gives
 * FSV_STATUS_NULL_POINTER and nothing is done. Text is a pointer and a length in bytes, is UTF-8 and needs
 * no NUL; a pointer beside a length of 0 is not read and may be NULL. A length over the limit of its text
 * gives FSV_STATUS_TOO_LARGE before a byte is read.
 *
 * Ownership. What a function gives in a `**` output belongs to the caller, who frees it with the _free
 * function of its type; _free(NULL) does nothing. No function takes ownership of what it is given, and none
 * keeps a pointer to it, save the fsv_flow_set functions, which say so. Pointers in a result point into the
 * object that the comment names, and are good for as long as it says.
 *
 * Structs that the caller makes begin with their size in bytes, which the FSV_..._INIT initialiser sets, so
 * that structs can grow at their end. A caller that was built with an older, smaller struct is served: what
 * it does not have reads as 0, or is not written. FSV_STATUS_INVALID_SIZE is for a size below the smallest
 * there ever was (FSV_..._MIN_SIZE), and for an input struct larger than this library knows with anything
 * but zero bytes in the part that it does not know. Of a larger output struct that part is left as it is. It
 * is also for a size over 4096, which was most likely not set, and in an array, where the size of the first
 * is that of all, for one that is no multiple of the struct's alignment.
 *
 * Threads. Functions that take a `const` handle may be called from any number of threads at once. Those
 * that take another handle need it for themselves, save the fsv_live functions, which say so. A handle may
 * move between threads. It must not be freed while it is in use.
 *
 * Panics. The library does not panic as far as its tests can tell. If it does, every function catches it
 * and returns FSV_STATUS_PANIC, or the value that it returns for NULL. The library has to be built with
 * unwinding panics, as it is unless changed. The handles involved stay usable and can be freed. Rust's panic
 * hook writes a line to stderr before. When memory runs out there is no status: the process is aborted, as by
 * any program in Rust. What takes memory are settings, matchers and plans: limit the size of the text, and set
 * fsv_matcher_options.max_bytes.
 *
 * What a content filter does on a status other than FSV_STATUS_OK is chosen when the matcher is made:
 * fsv_matcher_options.failure_action is FSV_ACTION_ALLOW (fail open), FSV_ACTION_DROP (fail closed, the
 * default) or FSV_ACTION_FILTER_DATA. Ask for it with fsv_matcher_failure_action before deciding, as above,
 * and use it where no decision was given.
 *
 * Bytes. Addresses are in network byte order, as in struct in_addr and in6_addr. Ports and all other
 * numbers are in the byte order of the host.
 *
 * The hot path. fsv_flow_set_*, fsv_matcher_decide, fsv_matcher_decide_batch and fsv_live_decide take no
 * lock. They do not allocate where they succeed, save fsv_live_decide in its first call on a thread; where a
 * host, a name or a scope id is not valid, they allocate what its text takes, and free it.
 *
 * The words are Apple's: numbers of actions, directions and NSNotFound are those of NetworkExtension. S-nn
 * names a clause of the rules' semantics, as the Rust documentation does.
 */
#ifndef FLOWSIEVE_H
#define FLOWSIEVE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version ----------------------------------------------------------------------------------------- */

/* The version of this header. A program may compare it with what it is linked to. */
#define FSV_VERSION_MAJOR 0
#define FSV_VERSION_MINOR 1
#define FSV_VERSION_PATCH 0
#define FSV_VERSION "0.1.0"
#define FSV_VERSION_NUMBER ((FSV_VERSION_MAJOR << 16) | (FSV_VERSION_MINOR << 8) | FSV_VERSION_PATCH)

/* Returns the version of the library as FSV_VERSION writes it. Static, never NULL. */
const char *fsv_version(void);

/* Returns the version of the library as FSV_VERSION_NUMBER counts it. */
uint32_t fsv_version_number(void);

/* ---- Numbers ----------------------------------------------------------------------------------------- */

/* What became of a call. Numbers are never given a new meaning; new ones may come. */
typedef int32_t fsv_status;
enum {
    FSV_STATUS_OK = 0,
    FSV_STATUS_PANIC = 1,             /* the library failed inside; please report it */
    FSV_STATUS_NULL_POINTER = 2,      /* NULL where it is not taken */
    FSV_STATUS_INVALID_SIZE = 3,      /* the size of a struct; see Structs above */
    FSV_STATUS_INVALID_ARGUMENT = 4,  /* a number that is none of its enumeration */
    FSV_STATUS_NOT_UTF8 = 5,          /* text that is not UTF-8 */
    FSV_STATUS_TOO_LARGE = 6,         /* a length over the limit of its text, or of an array */
    FSV_STATUS_BUFFER_TOO_SMALL = 7,  /* `needed` says how large it has to be */
    FSV_STATUS_INVALID_FLOW = 8,      /* an fsv_flow that contradicts itself or knows an unknown bit */
    FSV_STATUS_INVALID_HOST = 9,      /* a host that is neither address nor name, or not the one needed */
    FSV_STATUS_INVALID_PORT = 10,     /* port text other than digits up to 65535 (S-26) */
    FSV_STATUS_INVALID_SCOPE = 11,    /* a scope (zone) id other than 1 to 15 of letters, digits, _ - (S-50) */
    FSV_STATUS_INVALID_PREFIX = 12,   /* a prefix length over 32 or 128 bits, or NSNotFound (S-12) */
    FSV_STATUS_UNSUPPORTED_FAMILY = 13, /* a socket address other than AF_INET and AF_INET6 */
    FSV_STATUS_INVALID_SETTINGS = 14, /* settings text with something wrong in it; the error says where */
    FSV_STATUS_OUT_OF_RANGE = 15,     /* an index at which there is no rule */
    FSV_STATUS_TOO_MANY_RULES = 16,   /* more rules than a matcher takes, 268,435,455 */
    FSV_STATUS_MATCHER_TOO_LARGE = 17, /* more memory than fsv_matcher_options.max_bytes */
    FSV_STATUS_NO_PLAN = 18,          /* no first stage of so few rules is right */
    FSV_STATUS_NOT_KEPT = 19          /* the matcher was made without what is asked of it */
};

/* Returns what a status means, in a few words. Static, never NULL; also for numbers that are no status. */
const char *fsv_status_message(fsv_status status);

/* What is done with a flow: the raw values of NEFilterAction. */
typedef uint8_t fsv_action;
enum {
    FSV_ACTION_NONE = 0, /* no decision yet: FSV_DECISION_INIT has it, no decision does */
    FSV_ACTION_ALLOW = 1,
    FSV_ACTION_DROP = 2,
    FSV_ACTION_FILTER_DATA = 4
};

/* The direction of a rule or of a flow: the raw values of NETrafficDirection. A flow of direction any is
 * one whose direction is not known; only rules of direction any match it (S-36). */
typedef uint8_t fsv_direction;
enum { FSV_DIRECTION_ANY = 0, FSV_DIRECTION_INBOUND = 1, FSV_DIRECTION_OUTBOUND = 2 };

/* The protocol of a rule: any, which is TCP and UDP (S-31), or an IANA number. A number other than TCP's
 * and UDP's is an extension that the framework does not take. These are not the raw values of
 * NENetworkRuleProtocol. */
typedef uint16_t fsv_protocol;
enum { FSV_PROTOCOL_TCP = 6, FSV_PROTOCOL_UDP = 17, FSV_PROTOCOL_ANY = 256 };

/* Which of several matching rules decides. */
typedef uint8_t fsv_precedence;
enum {
    FSV_PRECEDENCE_FIRST_MATCH = 0,   /* the first in the list: Apple's (S-60) */
    FSV_PRECEDENCE_LONGEST_PREFIX = 1 /* extension: that of the longest remote prefix, then the first */
};

/* Why a decision came out as it did. */
typedef uint8_t fsv_reason;
enum {
    FSV_REASON_NONE = 0,
    FSV_REASON_RULE = 1,     /* a rule matched */
    FSV_REASON_DEFAULT = 2,  /* no rule matched: the default action (S-62) */
    FSV_REASON_LOOPBACK = 3, /* no rule matched a loopback flow, which is allowed (S-64) */
    FSV_REASON_PENDING = 4   /* as things stand one of the others; an earlier rule could still match */
};

/* The rule index of a decision by no rule, and of an error about no rule. */
#define FSV_NO_RULE UINT32_MAX

/* The prefix length of a rule that has none: the value of NSNotFound on 64-bit systems. */
#define FSV_PREFIX_NOT_FOUND ((uint64_t)INT64_MAX)

/* The longest texts, in bytes. */
#define FSV_MAX_HOST_BYTES 255            /* of an endpoint's host; its port text has the same limit */
#define FSV_MAX_HOSTNAME_BYTES 65536      /* of a flow's host name */
#define FSV_MAX_LABEL_BYTES 65536         /* of a rule's label */
#define FSV_MAX_SETTINGS_BYTES 268435456  /* of a settings file, 256 MiB */

/* ---- Errors ------------------------------------------------------------------------------------------ */

/* What went wrong, and where. Owned by the caller; read from any thread. */
typedef struct fsv_error fsv_error;

/* Returns the status of the call that gave this error; FSV_STATUS_NULL_POINTER for NULL. */
fsv_status fsv_error_status(const fsv_error *error);

/* Returns the message: one line for the author of the rules, such as "line 3, column 9: rule 2, key
 * `remotePrefix`: prefix length 33 exceeds 32 for an IPv4 address". UTF-8 with a NUL; owned by the error.
 * "" for NULL. */
const char *fsv_error_message(const fsv_error *error);

/* Returns the line in settings text, from 1; 0 if the error is not about a place, and for NULL. */
uint64_t fsv_error_line(const fsv_error *error);

/* Returns the column in settings text, in characters from 1; 0 as for the line. */
uint64_t fsv_error_column(const fsv_error *error);

/* Returns the index of the rule, from 0; FSV_NO_RULE if the error is not about one, and for NULL. */
uint32_t fsv_error_rule(const fsv_error *error);

/* Frees an error. NULL is taken. */
void fsv_error_free(fsv_error *error);

/* ---- Settings ---------------------------------------------------------------------------------------- */

/* Rules in order and the default action: NEFilterSettings. For one thread at a time while rules are added;
 * for any number once that is done. */
typedef struct fsv_settings fsv_settings;

/* A host and a port as text: NWHostEndpoint's hostname and port. In a rule, port "0" and "" are any port.
 * The struct does not grow. */
typedef struct fsv_endpoint {
    const char *hostname; /* an address, with scope id or without, or a name */
    size_t hostname_len;  /* in bytes */
    const char *port;     /* digits; extension: a range such as "1000-2000" */
    size_t port_len;      /* in bytes */
} fsv_endpoint;

/* For fsv_settings_parse: a host name in a network initialiser makes a host rule (S-46) and is no error. */
#define FSV_PARSE_HOSTNAME_IN_NETWORK 1u

/* Makes settings without rules. `default_action` is FSV_ACTION_ALLOW, _DROP or _FILTER_DATA. */
fsv_status fsv_settings_new(fsv_action default_action, fsv_settings **settings);

/* Reads a settings file: JSON with Apple's property names, as the README shows. `flags` is 0 or
 * FSV_PARSE_HOSTNAME_IN_NETWORK.
 *
 * FSV_STATUS_INVALID_SETTINGS, FSV_STATUS_NOT_UTF8, FSV_STATUS_TOO_LARGE (over FSV_MAX_SETTINGS_BYTES); the
 * error has line, column and rule. Nothing that is not understood is skipped. */
fsv_status fsv_settings_parse(const char *json, size_t json_len, uint32_t flags, fsv_settings **settings,
                              fsv_error **error);

/* Frees settings. Matchers made of them stay as they are. NULL is taken. */
void fsv_settings_free(fsv_settings *settings);

/* The three initialisers of NENetworkRule. Each adds a rule at the end, with an action (one of the three)
 * and a label, which may be NULL.
 *
 * FSV_STATUS_INVALID_HOST, _PORT, _SCOPE, _PREFIX, FSV_STATUS_INVALID_ARGUMENT, FSV_STATUS_NOT_UTF8,
 * FSV_STATUS_TOO_LARGE; the error says what is wrong, and the settings stay as they were. */

/* initWithDestinationNetwork:prefix:protocol: - outbound flows to a network. `destination_prefix` is in
 * bits; one host needs 32 or 128, and 0 matches the whole family (S-11). */
fsv_status fsv_settings_add_destination_network(fsv_settings *settings,
                                                const fsv_endpoint *destination_network,
                                                uint64_t destination_prefix, fsv_protocol protocol,
                                                fsv_action action, const char *label, size_t label_len,
                                                fsv_error **error);

/* initWithDestinationHost:protocol: - outbound flows that carry the name of a host or domain. */
fsv_status fsv_settings_add_destination_host(fsv_settings *settings,
                                             const fsv_endpoint *destination_host,
                                             fsv_protocol protocol, fsv_action action,
                                             const char *label, size_t label_len, fsv_error **error);

/* initWithRemoteNetwork:remotePrefix:localNetwork:localPrefix:protocol:direction: - NULL as a network is
 * nil, any address of both families, and its prefix length is then ignored (S-06). */
fsv_status fsv_settings_add_remote_network(fsv_settings *settings, const fsv_endpoint *remote_network,
                                           uint64_t remote_prefix, const fsv_endpoint *local_network,
                                           uint64_t local_prefix, fsv_protocol protocol,
                                           fsv_direction direction, fsv_action action,
                                           const char *label, size_t label_len, fsv_error **error);

/* Sets the default action, one of the three. */
fsv_status fsv_settings_set_default_action(fsv_settings *settings, fsv_action action);

/* Returns the default action; FSV_ACTION_NONE for NULL. */
fsv_action fsv_settings_default_action(const fsv_settings *settings);

/* Returns the number of rules; 0 for NULL. */
size_t fsv_settings_rule_count(const fsv_settings *settings);

/* Which initialiser a rule was made with. */
typedef uint8_t fsv_rule_kind;
enum {
    FSV_RULE_DESTINATION_NETWORK = 1,
    FSV_RULE_DESTINATION_HOST = 2,
    FSV_RULE_REMOTE_NETWORK = 3
};

/* A rule as it is read back: what it takes to make the NEFilterRule of it. Texts have a NUL at their end.
 * */
typedef struct fsv_rule {
    uint32_t size;           /* sizeof(fsv_rule) */
    fsv_rule_kind kind;      /* the initialiser */
    fsv_action action;
    fsv_direction direction; /* matchDirection; outbound for both destination forms (S-04) */
    uint8_t is_host;         /* 1: the remote side is a name. Always so of FSV_RULE_DESTINATION_HOST; of
                                the others only on request (FSV_PARSE_HOSTNAME_IN_NETWORK) */
    fsv_protocol protocol;   /* matchProtocol */
    uint8_t has_remote;      /* 1: there is a remote endpoint; 0: remoteNetwork is nil */
    uint8_t has_local;       /* 1: there is a local network; 0: localNetwork is nil */
    uint32_t label_len;      /* in bytes */
    uint64_t remote_prefix;  /* matchRemotePrefix, in bits; FSV_PREFIX_NOT_FOUND for names and nil (S-02) */
    uint64_t local_prefix;   /* matchLocalPrefix, in bits; FSV_PREFIX_NOT_FOUND for nil */
    const char *label;       /* no NUL; in the settings, until they are changed or freed. NULL: none */
    char remote_hostname[256]; /* address with scope id, or name; "" for nil */
    char remote_port[16];    /* "0": any; "1000-2000": a range, which the framework does not take */
    char local_hostname[64];
    char local_port[16];
} fsv_rule;

#define FSV_RULE_MIN_SIZE ((uint32_t)(offsetof(fsv_rule, local_port) + 16))
#define FSV_RULE_INIT                                                                                  \
    { (uint32_t)sizeof(fsv_rule), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, { 0 }, { 0 }, { 0 }, { 0 } }

/* Reads back the rule of an index, from 0. FSV_STATUS_OUT_OF_RANGE. */
fsv_status fsv_settings_rule(const fsv_settings *settings, size_t index, fsv_rule *rule);

/* Writes what the framework would refuse in the settings or cannot express (more than 1000 rules, port
 * ranges, protocol numbers, ...), one issue a line, each with a line feed at its end; "" if there is
 * nothing.
 *
 * Here and below a `buffer` of `capacity` bytes is given the text and a NUL, and `needed` the bytes that
 * takes. If they are more than there are, FSV_STATUS_BUFFER_TOO_SMALL is returned and the buffer stays as
 * it is. A NULL buffer with capacity 0 asks for the size. */
fsv_status fsv_settings_validate_for_framework(const fsv_settings *settings, char *buffer,
                                               size_t capacity, size_t *needed);

/* Writes the settings as a settings file, which fsv_settings_parse reads. */
fsv_status fsv_settings_write(const fsv_settings *settings, char *buffer, size_t capacity,
                              size_t *needed);

/* Plans a first stage for the framework: at most `limit` rules (up to the framework's 1000) that give every
 * flow either the action of `settings` or filterData, and send as little as they can to the extension,
 * where a matcher of `settings` decides. The plan is proven before it is given. It takes seconds for
 * 100,000 rules.
 *
 * FSV_STATUS_NO_PLAN, with the reason in the error; FSV_STATUS_TOO_MANY_RULES for a limit over 1000. */
fsv_status fsv_settings_plan(const fsv_settings *settings, fsv_precedence precedence, size_t limit,
                             fsv_settings **first_stage, fsv_error **error);

/* ---- Flows ------------------------------------------------------------------------------------------- */

/* The family of one end of a flow. */
typedef uint8_t fsv_family;
enum {
    FSV_FAMILY_NONE = 0,
    FSV_FAMILY_NAME = 1, /* remote end only: an endpoint that holds a name, not an address (S-52) */
    FSV_FAMILY_IPV4 = 4, /* the first 4 of the 16 bytes of the address */
    FSV_FAMILY_IPV6 = 6  /* all 16; IPv4-mapped addresses as they are: the library folds them (S-20) */
};

/* What is known of a flow. A field whose bit is not set is not read. */
enum {
    FSV_KNOWN_REMOTE = 1,        /* remote_family, remote_address, remote_port */
    FSV_KNOWN_LOCAL = 2,         /* local_family, local_address, local_port */
    FSV_KNOWN_HOSTNAME = 4,      /* remote_hostname, remote_hostname_len */
    FSV_KNOWN_REMOTE_SCOPE = 8,  /* remote_scope; with FSV_KNOWN_REMOTE */
    FSV_KNOWN_LOCAL_SCOPE = 16   /* local_scope; with FSV_KNOWN_LOCAL */
};

/* A flow, as an NEFilterSocketFlow has it. Plain data: the caller may fill it in or copy it, or use the
 * functions below. Begin every flow with FSV_FLOW_INIT: what the last one knew would stay known.
 *
 * A local endpoint of 0.0.0.0 or :: port 0, which the system gives before the socket is bound, is to be
 * given as it is: its address and port are then taken as not known yet, each by itself (S-21). */
typedef struct fsv_flow {
    uint32_t size;              /* sizeof(fsv_flow) */
    uint32_t known;             /* FSV_KNOWN_... bits; another bit is FSV_STATUS_INVALID_FLOW */
    uint8_t protocol;           /* IANA number: socketProtocol */
    fsv_direction direction;
    fsv_family remote_family;
    fsv_family local_family;
    uint16_t remote_port;       /* host byte order; 0: not known, or none */
    uint16_t local_port;
    uint8_t remote_address[16]; /* network byte order; of a name, the library's own */
    uint8_t local_address[16];
    const char *remote_hostname; /* UTF-8, no NUL; borrowed until the flow is decided for the last time */
    size_t remote_hostname_len; /* in bytes, up to FSV_MAX_HOSTNAME_BYTES */
    char remote_scope[16];      /* scope (zone) id: "en0", or a number as text; then zero bytes */
    char local_scope[16];
} fsv_flow;

#define FSV_FLOW_MIN_SIZE ((uint32_t)offsetof(fsv_flow, remote_scope))
#define FSV_FLOW_INIT                                                                                  \
    { (uint32_t)sizeof(fsv_flow), 0, 0, 0, 0, 0, 0, 0, { 0 }, { 0 }, NULL, 0, { 0 }, { 0 } }

/* Sets the remote endpoint from NWHostEndpoint's hostname and port: an IPv4 or IPv6 address, with scope id
 * ("fe80::1%en0") or without, or a host name; and digits ("0" and "" stand for a port that is not known).
 *
 * A host that is a name serves as the flow's host name too, unless it has one from elsewhere; the flow then
 * points to the text, which must live as long as the flow is used. Such a host name goes with its endpoint:
 * where this or fsv_flow_set_remote_sockaddr sets another, it is replaced or taken away. One that was set by
 * fsv_flow_set_remote_hostname or filled in stays. What tells the two is in remote_address, of which an
 * endpoint that is a name has no other use.
 *
 * FSV_STATUS_INVALID_HOST, FSV_STATUS_INVALID_SCOPE, FSV_STATUS_INVALID_PORT, FSV_STATUS_NOT_UTF8,
 * FSV_STATUS_TOO_LARGE. This and the other fsv_flow_set functions may need a flow of the full size (for the
 * scope) and give FSV_STATUS_INVALID_SIZE if an older one has no room for it. */
fsv_status fsv_flow_set_remote(fsv_flow *flow, const char *host, size_t host_len, const char *port,
                               size_t port_len);

/* Sets the local endpoint in the same way. A name is FSV_STATUS_INVALID_HOST. */
fsv_status fsv_flow_set_local(fsv_flow *flow, const char *host, size_t host_len, const char *port,
                              size_t port_len);

/* Sets the remote endpoint from a struct sockaddr_in or sockaddr_in6 of this platform, of which `len` bytes
 * may be read; it need not be aligned. The scope id is taken as text ("4"): a rule that names the interface
 * does not compare equal with its number; if_indextoname(3) gives the name.
 *
 * FSV_STATUS_UNSUPPORTED_FAMILY; FSV_STATUS_INVALID_SIZE for fewer bytes than the family has. */
fsv_status fsv_flow_set_remote_sockaddr(fsv_flow *flow, const void *address, size_t len);

/* Sets the local endpoint in the same way. */
fsv_status fsv_flow_set_local_sockaddr(fsv_flow *flow, const void *address, size_t len);

/* Sets the remote host name: remoteHostname. Dots and stars around it carry no meaning; a name with nothing
 * left counts as missing. NULL with length 0 takes it away. It stays whatever the remote endpoint is set to.
 * The text is borrowed: it must live as long as the flow is used. FSV_STATUS_NOT_UTF8, FSV_STATUS_TOO_LARGE. */
fsv_status fsv_flow_set_remote_hostname(fsv_flow *flow, const char *name, size_t name_len);

/* ---- Decisions --------------------------------------------------------------------------------------- */

/* What is to be done with a flow, and why. */
typedef struct fsv_decision {
    uint32_t size;       /* sizeof(fsv_decision) */
    fsv_action action;   /* one of the three; treat another, of a library to come, as the failure action */
    fsv_reason reason;
    uint8_t is_final;    /* 1: the action stands whatever becomes known of local endpoint and host name */
    uint8_t reserved;    /* 0 */
    uint32_t rule;       /* index of the rule that decided, from 0, or FSV_NO_RULE */
    uint32_t pending_count; /* rules before the deciding one that could still match once the local endpoint
                               or the host name is known; 0: none. Otherwise exact with
                               fsv_matcher_options.count_pending, and 1 for any number without */
    uint64_t generation; /* of the settings; 0 for a matcher of fsv_matcher_new */
    const char *label;   /* of the deciding rule, no NUL; NULL if it has none. In the matcher until it is
                            freed; of a live matcher, until that is freed */
    size_t label_len;    /* in bytes */
} fsv_decision;

#define FSV_DECISION_MIN_SIZE ((uint32_t)offsetof(fsv_decision, generation))
#define FSV_DECISION_INIT                                                                              \
    { (uint32_t)sizeof(fsv_decision), FSV_ACTION_NONE, FSV_REASON_NONE, 0, 0, FSV_NO_RULE, 0, 0, NULL, 0 }

/* ---- Matchers ---------------------------------------------------------------------------------------- */

/* Settings compiled for fast decisions. Immutable: any number of threads may use it at once. */
typedef struct fsv_matcher fsv_matcher;

/* How a matcher is made. */
typedef struct fsv_matcher_options {
    uint32_t size;             /* sizeof(fsv_matcher_options) */
    fsv_precedence precedence;
    fsv_action failure_action; /* one of the three; what fsv_matcher_failure_action returns */
    uint8_t keep_settings;     /* 1: keep what fsv_matcher_explain needs; memory is shared with the
                                  settings handle and other matchers of it */
    uint8_t count_hits;        /* 1: count the decisions of each rule; 64 bytes a rule */
    uint8_t count_pending;     /* 1: fsv_decision.pending_count is exact. Deciding a flow that is pending
                                  goes through all rules with a local side or a host name then */
    uint8_t reserved[7];       /* 0 */
    uint64_t max_bytes;        /* the most memory, as fsv_matcher_size_bytes counts it; 0: no limit */
} fsv_matcher_options;

#define FSV_MATCHER_OPTIONS_MIN_SIZE 24u
#define FSV_MATCHER_OPTIONS_INIT                                                                       \
    { (uint32_t)sizeof(fsv_matcher_options), FSV_PRECEDENCE_FIRST_MATCH, FSV_ACTION_DROP, 1, 0, 0,       \
      { 0 }, 0 }

/* Compiles settings. `options` may be NULL, which stands for FSV_MATCHER_OPTIONS_INIT. The settings may be
 * freed afterwards, or changed, which does not change the matcher.
 *
 * FSV_STATUS_TOO_MANY_RULES, FSV_STATUS_MATCHER_TOO_LARGE, FSV_STATUS_INVALID_ARGUMENT. Compiling takes up
 * to about three times the memory of the matcher, and 300 bytes a rule. */
fsv_status fsv_matcher_new(const fsv_settings *settings, const fsv_matcher_options *options,
                           fsv_matcher **matcher, fsv_error **error);

/* Frees a matcher. NULL is taken. */
void fsv_matcher_free(fsv_matcher *matcher);

/* Returns the action for flows that cannot be decided; FSV_ACTION_DROP for NULL. */
fsv_action fsv_matcher_failure_action(const fsv_matcher *matcher);

/* Decides a flow. Does not allocate, wait or lock. FSV_STATUS_INVALID_FLOW, FSV_STATUS_INVALID_SIZE,
 * FSV_STATUS_INVALID_ARGUMENT (direction), FSV_STATUS_INVALID_SCOPE, FSV_STATUS_NOT_UTF8 (host name),
 * FSV_STATUS_TOO_LARGE. */
fsv_status fsv_matcher_decide(const fsv_matcher *matcher, const fsv_flow *flow, fsv_decision *decision);

/* Decides `count` flows into as many decisions, faster than one by one. All flows have the size of the
 * first, which is the distance from one to the next, and so do all decisions.
 *
 * All flows are checked before the first is decided: if one is not in order, no decision is written. NULL
 * with a count of 0 is taken. */
fsv_status fsv_matcher_decide_batch(const fsv_matcher *matcher, const fsv_flow *flows, size_t count,
                                    fsv_decision *decisions);

/* Writes the indices of the rules that fsv_decision.pending_count counts, ascending, and their number as
 * `needed`. FSV_STATUS_BUFFER_TOO_SMALL as for text, with `capacity` and `needed` in rules. Goes through
 * all rules with a local side or a host name. */
fsv_status fsv_matcher_pending_rules(const fsv_matcher *matcher, const fsv_flow *flow, uint32_t *rules,
                                     size_t capacity, size_t *needed);

/* Explains a decision: a line with it, then a line for each rule in the order in which they are considered,
 * why it matched or which part did not. Goes through all rules. FSV_STATUS_NOT_KEPT without
 * fsv_matcher_options.keep_settings. */
fsv_status fsv_matcher_explain(const fsv_matcher *matcher, const fsv_flow *flow, char *buffer,
                               size_t capacity, size_t *needed);

/* Returns the memory that the matcher keeps, in bytes: the compiled rules, the labels, the counters, and
 * the settings if they are kept, also where these are shared. 0 for NULL. */
size_t fsv_matcher_size_bytes(const fsv_matcher *matcher);

/* Returns the number of rules; 0 for NULL. */
size_t fsv_matcher_rule_count(const fsv_matcher *matcher);

/* Returns the generation of the settings; 0 for a matcher of fsv_matcher_new, and for NULL. */
uint64_t fsv_matcher_generation(const fsv_matcher *matcher);

/* ---- Counters ---------------------------------------------------------------------------------------- */

/* What was decided since the matcher was made. There are eight sets of counters, on cache lines of their own.
 * A thread takes one when it first counts, and each takes the next, whichever matcher it is of: up to eight
 * threads that began one after the other do not wait for each other. Of more, or where others have come and
 * gone in between, two may have the same set, and wait where both count the same at the same time. Reading
 * adds the sets up. Every decision that was made before is in it, and of those made meanwhile any may be. */
typedef struct fsv_hits {
    uint32_t size;        /* sizeof(fsv_hits) */
    uint32_t reserved;    /* 0 */
    uint64_t by_rule;     /* decisions of a rule */
    uint64_t by_default;  /* of the default action */
    uint64_t by_loopback; /* of loopback flows that no rule matched */
    uint64_t failed;      /* flows that were not decided, each call of decide_batch counted once */
} fsv_hits;

#define FSV_HITS_MIN_SIZE 40u
#define FSV_HITS_INIT { (uint32_t)sizeof(fsv_hits), 0, 0, 0, 0, 0 }

/* Reads the totals. FSV_STATUS_NOT_KEPT without fsv_matcher_options.count_hits. */
fsv_status fsv_matcher_hits(const fsv_matcher *matcher, fsv_hits *hits);

/* Writes the number of decisions of each rule, and the number of rules as `needed`.
 * FSV_STATUS_BUFFER_TOO_SMALL as for text, with `capacity` and `needed` in rules. FSV_STATUS_NOT_KEPT as
 * above. */
fsv_status fsv_matcher_rule_hits(const fsv_matcher *matcher, uint64_t *hits, size_t capacity,
                                 size_t *needed);

/* ---- Live matchers ----------------------------------------------------------------------------------- */

/* A matcher whose settings are replaced while other threads decide. All its functions but fsv_live_free may
 * be called from any number of threads at once. */
typedef struct fsv_live fsv_live;

/* Compiles settings as generation 0. As fsv_matcher_new. */
fsv_status fsv_live_new(const fsv_settings *settings, const fsv_matcher_options *options,
                        fsv_live **live, fsv_error **error);

/* Frees a live matcher. No thread may use it any more. Matchers of fsv_live_matcher stay. The labels of
 * decisions that fsv_live_decide made are freed. NULL is taken. */
void fsv_live_free(fsv_live *live);

/* Returns the action for flows that cannot be decided; FSV_ACTION_DROP for NULL. */
fsv_action fsv_live_failure_action(const fsv_live *live);

/* Compiles settings, with the options of fsv_live_new, and puts them in the place of the current ones.
 * Every decision that begins afterwards is of the new generation, whose number is given; `generation` may
 * be NULL. Deciding threads do not wait, and every decision is of one generation as a whole. On failure
 * nothing changes.
 *
 * Several replacements at once are done one after the other. The old generation is freed by a later
 * replacement, not by a thread that decides. Counters begin at 0. Labels are kept until the live matcher is
 * freed, equal ones once: with labels that are others each time, of a date say, memory grows with each
 * replacement, which no size and no max_bytes counts. */
fsv_status fsv_live_replace(const fsv_live *live, const fsv_settings *settings, uint64_t *generation,
                            fsv_error **error);

/* Decides a flow by the current generation. As fsv_matcher_decide; allocates in the first call on a thread.
 * */
fsv_status fsv_live_decide(const fsv_live *live, const fsv_flow *flow, fsv_decision *decision);

/* Decides flows, all by one generation. As fsv_matcher_decide_batch. */
fsv_status fsv_live_decide_batch(const fsv_live *live, const fsv_flow *flows, size_t count,
                                 fsv_decision *decisions);

/* Returns the number of the current generation: the number of replacements. 0 for NULL. */
uint64_t fsv_live_generation(const fsv_live *live);

/* Gives the current generation as a matcher of its own, to explain by it and to read its counters. It
 * shares the memory, keeps it until it is freed with fsv_matcher_free, and does not change. */
fsv_status fsv_live_matcher(const fsv_live *live, fsv_matcher **matcher);

#ifdef __cplusplus
}
#endif

#endif /* FLOWSIEVE_H */
