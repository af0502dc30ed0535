/* What the tests in C share: claims that end the program if they do not hold. Read as C and as C++. */
#ifndef CHECK_H
#define CHECK_H

#include "flowsieve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(claim)                                                                                   \
    do {                                                                                               \
        if (!(claim)) {                                                                                \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim);                        \
            exit(1);                                                                                   \
        }                                                                                              \
    } while (0)

#define CHECK_STATUS(call, expected)                                                                   \
    do {                                                                                               \
        fsv_status check_status = (call);                                                              \
        if (check_status != (expected)) {                                                              \
            fprintf(stderr, "%s:%d: %s: %s, not %s\n", __FILE__, __LINE__, #call,                      \
                    fsv_status_message(check_status), fsv_status_message(expected));                   \
            exit(1);                                                                                   \
        }                                                                                              \
    } while (0)

#define CHECK_OK(call) CHECK_STATUS(call, FSV_STATUS_OK)

/* Text as pointer and length, for a literal. */
#define TEXT(literal) (literal), (sizeof(literal) - 1)

static inline fsv_endpoint endpoint(const char *hostname, const char *port) {
    fsv_endpoint made;
    made.hostname = hostname;
    made.hostname_len = strlen(hostname);
    made.port = port;
    made.port_len = strlen(port);
    return made;
}

/* A TCP flow outbound from an unbound socket, as the system shows it first. */
static inline fsv_flow flow_to(const char *host, const char *port) {
    fsv_flow flow = FSV_FLOW_INIT;
    flow.protocol = FSV_PROTOCOL_TCP;
    flow.direction = FSV_DIRECTION_OUTBOUND;
    CHECK_OK(fsv_flow_set_remote(&flow, host, strlen(host), port, strlen(port)));
    CHECK_OK(fsv_flow_set_local(&flow, TEXT("0.0.0.0"), TEXT("0")));
    return flow;
}

static inline fsv_settings *parsed(const char *json) {
    fsv_settings *settings = NULL;
    fsv_error *error = NULL;
    if (fsv_settings_parse(json, strlen(json), 0, &settings, &error) != FSV_STATUS_OK) {
        fprintf(stderr, "%s\n", fsv_error_message(error));
        exit(1);
    }
    return settings;
}

#endif
