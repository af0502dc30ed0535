/* Flows from text and socket addresses, and what is not known yet. */
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void text_becomes_an_end(void) {
    fsv_flow flow = FSV_FLOW_INIT;
    static const uint8_t V4[4] = {192, 0, 2, 1};
    CHECK_OK(fsv_flow_set_remote(&flow, TEXT("192.0.2.1"), TEXT("443")));
    CHECK(flow.known == FSV_KNOWN_REMOTE && flow.remote_family == FSV_FAMILY_IPV4);
    CHECK(flow.remote_port == 443 && memcmp(flow.remote_address, V4, 4) == 0);

    CHECK_OK(fsv_flow_set_remote(&flow, TEXT("fe80::1%en0"), TEXT("00")));
    CHECK(flow.known == (FSV_KNOWN_REMOTE | FSV_KNOWN_REMOTE_SCOPE) && flow.remote_port == 0);
    CHECK(flow.remote_family == FSV_FAMILY_IPV6 && strcmp(flow.remote_scope, "en0") == 0);
    CHECK(flow.remote_address[0] == 0xfe && flow.remote_address[1] == 0x80);
    CHECK(flow.remote_address[15] == 1);

    CHECK_OK(fsv_flow_set_remote(&flow, TEXT("::ffff:192.0.2.1"), TEXT("65535")));
    CHECK(flow.known == FSV_KNOWN_REMOTE && flow.remote_family == FSV_FAMILY_IPV6);
    CHECK(flow.remote_port == 65535 && memcmp(flow.remote_address + 12, V4, 4) == 0);

    CHECK_OK(fsv_flow_set_local(&flow, TEXT("0.0.0.0"), TEXT("")));
    CHECK(flow.known == (FSV_KNOWN_REMOTE | FSV_KNOWN_LOCAL) && flow.local_port == 0);
    CHECK_OK(fsv_flow_set_local(&flow, TEXT("fe80::2%utun12"), TEXT("5000")));
    CHECK((flow.known & FSV_KNOWN_LOCAL_SCOPE) != 0 && strcmp(flow.local_scope, "utun12") == 0);
}

static void a_name_in_place_of_an_address_is_the_host_name_unless_there_is_one(void) {
    static const char NAME[] = "www.example.com.";
    fsv_flow flow = FSV_FLOW_INIT;
    CHECK_OK(fsv_flow_set_remote(&flow, TEXT(NAME), TEXT("443")));
    CHECK(flow.remote_family == FSV_FAMILY_NAME && flow.remote_port == 443);
    CHECK(flow.remote_hostname == NAME && flow.remote_hostname_len == sizeof NAME - 1);
    CHECK_OK(fsv_flow_set_remote_hostname(&flow, TEXT("other.example")));
    CHECK_OK(fsv_flow_set_remote(&flow, TEXT(NAME), TEXT("443")));
    CHECK(strncmp(flow.remote_hostname, "other.example", flow.remote_hostname_len) == 0);
    CHECK_OK(fsv_flow_set_remote_hostname(&flow, NULL, 0));
    CHECK((flow.known & FSV_KNOWN_HOSTNAME) == 0 && flow.remote_hostname == NULL);
}

static int is_named(const fsv_flow *flow, const char *name) {
    return (flow->known & FSV_KNOWN_HOSTNAME) != 0 && flow->remote_hostname == name &&
           flow->remote_hostname_len == strlen(name);
}

static void a_name_goes_with_the_end_that_it_came_with(void) {
    static const char FIRST[] = "a.example", SECOND[] = "b.example", OWN[] = "own.example";
    static const struct {
        const char *host;
        fsv_status status;
        int stays; /* the first name */
    } NEXT[] = {
        {"192.0.2.1", FSV_STATUS_OK, 0},          {"2001:db8::1", FSV_STATUS_OK, 0},
        {"fe80::1%en0", FSV_STATUS_OK, 0},        {"::ffff:192.0.2.1", FSV_STATUS_OK, 0},
        {"[::1]", FSV_STATUS_INVALID_HOST, 1},    {"2001:db8::g", FSV_STATUS_INVALID_HOST, 1},
        {"fe80::1%", FSV_STATUS_INVALID_SCOPE, 1}, {"", FSV_STATUS_INVALID_HOST, 1},
    };
    const fsv_flow initial = FSV_FLOW_INIT;
    fsv_flow flow, before;
    struct sockaddr_in v4;
    size_t index;
    memset(&v4, 0, sizeof v4);
    v4.sin_family = AF_INET;

    for (index = 0; index < sizeof NEXT / sizeof NEXT[0]; index++) {
        const char *host = NEXT[index].host;
        flow = initial;
        CHECK_OK(fsv_flow_set_remote(&flow, TEXT(FIRST), TEXT("443")));
        before = flow;
        CHECK_STATUS(fsv_flow_set_remote(&flow, host, strlen(host), TEXT("443")), NEXT[index].status);
        if (NEXT[index].stays) {
            CHECK(memcmp(&flow, &before, sizeof flow) == 0);
            CHECK_OK(fsv_flow_set_remote(&flow, TEXT("192.0.2.1"), TEXT("443")));
        }
        CHECK((flow.known & FSV_KNOWN_HOSTNAME) == 0 && flow.remote_hostname == NULL);
        /* One that was set by itself stays, whatever the end is. */
        flow = before;
        CHECK_OK(fsv_flow_set_remote_hostname(&flow, TEXT(OWN)));
        CHECK_STATUS(fsv_flow_set_remote(&flow, host, strlen(host), TEXT("443")), NEXT[index].status);
        CHECK(is_named(&flow, OWN));
    }
    flow = initial;
    CHECK_OK(fsv_flow_set_remote(&flow, TEXT(FIRST), TEXT("443")));
    CHECK_OK(fsv_flow_set_remote(&flow, TEXT(SECOND), TEXT("443")));
    CHECK(is_named(&flow, SECOND));
    CHECK_STATUS(fsv_flow_set_remote_sockaddr(&flow, &v4, 7), FSV_STATUS_INVALID_SIZE);
    CHECK(is_named(&flow, SECOND));
    CHECK_OK(fsv_flow_set_local(&flow, TEXT("10.0.0.1"), TEXT("5000")));
    CHECK_OK(fsv_flow_set_local_sockaddr(&flow, &v4, sizeof v4));
    CHECK(is_named(&flow, SECOND));
    before = flow;
    CHECK_OK(fsv_flow_set_remote_sockaddr(&flow, &v4, sizeof v4));
    CHECK((flow.known & FSV_KNOWN_HOSTNAME) == 0);

    /* Set by itself after the end, before it, as the same text, or by hand. */
    flow = before;
    CHECK_OK(fsv_flow_set_remote_hostname(&flow, TEXT(OWN)));
    CHECK_OK(fsv_flow_set_remote_sockaddr(&flow, &v4, sizeof v4));
    CHECK(is_named(&flow, OWN));
    flow = initial;
    CHECK_OK(fsv_flow_set_remote_hostname(&flow, TEXT(OWN)));
    CHECK_OK(fsv_flow_set_remote(&flow, TEXT(FIRST), TEXT("443")));
    CHECK(is_named(&flow, OWN));
    CHECK_OK(fsv_flow_set_remote(&flow, TEXT(SECOND), TEXT("443")));
    CHECK(is_named(&flow, OWN));
    CHECK_OK(fsv_flow_set_remote(&flow, TEXT("192.0.2.1"), TEXT("443")));
    CHECK(is_named(&flow, OWN));
    for (index = 0; index < 2; index++) {
        flow = before;
        if (index == 1) CHECK_OK(fsv_flow_set_remote_hostname(&flow, NULL, 0));
        CHECK_OK(fsv_flow_set_remote_hostname(&flow, TEXT(SECOND)));
        CHECK_OK(fsv_flow_set_remote(&flow, TEXT(FIRST), TEXT("443")));
        CHECK(is_named(&flow, SECOND));
    }
    flow = before;
    flow.remote_hostname = OWN;
    flow.remote_hostname_len = strlen(OWN);
    CHECK_OK(fsv_flow_set_remote(&flow, TEXT(FIRST), TEXT("443")));
    CHECK(is_named(&flow, OWN));
    /* Taken away, it is that of the next end that is a name. */
    CHECK_OK(fsv_flow_set_remote_hostname(&flow, NULL, 0));
    CHECK_OK(fsv_flow_set_remote(&flow, TEXT(FIRST), TEXT("443")));
    CHECK(is_named(&flow, FIRST));
}

static void a_flow_that_is_used_again_is_decided_by_its_end(void) {
    fsv_settings *settings = parsed(
        "{\"rules\": [{\"networkRule\": {\"destinationHost\": \"a.example:0\", \"protocol\": \"any\"}, "
        "\"action\": \"drop\"}, {\"networkRule\": {\"destinationHost\": \"b.example:0\", \"protocol\": "
        "\"any\"}, \"action\": \"filterData\"}], \"defaultAction\": \"allow\"}");
    static const struct {
        const char *host;
        fsv_action action;
    } ENDS[] = {{"a.example", FSV_ACTION_DROP}, {"b.example", FSV_ACTION_FILTER_DATA},
                {"192.0.2.1", FSV_ACTION_ALLOW}, {"www.a.example", FSV_ACTION_DROP},
                {"2001:db8::1", FSV_ACTION_ALLOW}};
    fsv_matcher *matcher = NULL;
    fsv_flow flow = FSV_FLOW_INIT;
    size_t index;
    flow.protocol = FSV_PROTOCOL_TCP;
    flow.direction = FSV_DIRECTION_OUTBOUND;
    CHECK_OK(fsv_matcher_new(settings, NULL, &matcher, NULL));
    CHECK_OK(fsv_flow_set_local(&flow, TEXT("10.0.0.1"), TEXT("5000")));
    for (index = 0; index < sizeof ENDS / sizeof ENDS[0]; index++) {
        fsv_decision decision = FSV_DECISION_INIT;
        const char *host = ENDS[index].host;
        CHECK_OK(fsv_flow_set_remote(&flow, host, strlen(host), TEXT("443")));
        CHECK_OK(fsv_matcher_decide(matcher, &flow, &decision));
        CHECK(decision.action == ENDS[index].action);
    }
    fsv_matcher_free(matcher);
    fsv_settings_free(settings);
}

static void text_that_is_none_is_refused(void) {
    static const struct {
        const char *host, *port;
        fsv_status status;
    } CASES[] = {
        {"", "0", FSV_STATUS_INVALID_HOST},
        {"[::1]", "0", FSV_STATUS_INVALID_HOST},
        {"192.0.2.1/32", "0", FSV_STATUS_INVALID_HOST},
        {"1.2.3.4:80", "0", FSV_STATUS_INVALID_HOST},
        {"https://a.b/", "0", FSV_STATUS_INVALID_HOST},
        {"...", "0", FSV_STATUS_INVALID_HOST},
        {"2001:db8:1:2:3:4:5:g", "0", FSV_STATUS_INVALID_HOST},
        {"2001:db8:1:2:3:4:5:6:7", "0", FSV_STATUS_INVALID_HOST},
        {"fe80::1%", "0", FSV_STATUS_INVALID_SCOPE},
        {"fe80::1%en 0", "0", FSV_STATUS_INVALID_SCOPE},
        {"fe80::1%sixteen-letters-", "0", FSV_STATUS_INVALID_SCOPE},
        {"::1", "65536", FSV_STATUS_INVALID_PORT},
        {"::1", "-1", FSV_STATUS_INVALID_PORT},
        {"::1", " 80", FSV_STATUS_INVALID_PORT},
        {"::1", "https", FSV_STATUS_INVALID_PORT},
        {"::1", "80-90", FSV_STATUS_INVALID_PORT},
    };
    size_t index;
    for (index = 0; index < sizeof CASES / sizeof CASES[0]; index++) {
        fsv_flow flow = FSV_FLOW_INIT;
        const fsv_flow before = flow;
        const char *host = CASES[index].host, *port = CASES[index].port;
        CHECK_STATUS(fsv_flow_set_remote(&flow, host, strlen(host), port, strlen(port)),
                     CASES[index].status);
        CHECK_STATUS(fsv_flow_set_local(&flow, host, strlen(host), port, strlen(port)),
                     CASES[index].status);
        CHECK(memcmp(&flow, &before, sizeof flow) == 0);
    }
}

static void socket_addresses_become_the_same_ends(void) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr other;
    unsigned char shifted[sizeof v6 + 1];
    fsv_flow by_text = FSV_FLOW_INIT, by_address = FSV_FLOW_INIT;
    memset(&v4, 0, sizeof v4);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(443);
    CHECK(inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr) == 1);
    CHECK_OK(fsv_flow_set_remote_sockaddr(&by_address, &v4, sizeof v4));
    CHECK_OK(fsv_flow_set_remote(&by_text, TEXT("192.0.2.1"), TEXT("443")));
    CHECK(memcmp(&by_text, &by_address, sizeof by_text) == 0);

    memset(&v6, 0, sizeof v6);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(5000);
    v6.sin6_flowinfo = 0xffffffffu;
    v6.sin6_scope_id = 4294967295u;
    CHECK(inet_pton(AF_INET6, "fe80::1", &v6.sin6_addr) == 1);
    memcpy(shifted + 1, &v6, sizeof v6);
    CHECK_OK(fsv_flow_set_local_sockaddr(&by_address, shifted + 1, sizeof v6));
    CHECK_OK(fsv_flow_set_local(&by_text, TEXT("fe80::1%4294967295"), TEXT("5000")));
    CHECK(memcmp(&by_text, &by_address, sizeof by_text) == 0);
    v6.sin6_scope_id = 0;
    CHECK_OK(fsv_flow_set_local_sockaddr(&by_address, &v6, sizeof v6));
    CHECK((by_address.known & FSV_KNOWN_LOCAL_SCOPE) == 0);

    CHECK_STATUS(fsv_flow_set_remote_sockaddr(&by_address, &v4, 7), FSV_STATUS_INVALID_SIZE);
    CHECK_STATUS(fsv_flow_set_remote_sockaddr(&by_address, &v6, sizeof v6 - 1), FSV_STATUS_INVALID_SIZE);
    memset(&other, 0, sizeof other);
    other.sa_family = AF_UNIX;
    CHECK_STATUS(fsv_flow_set_remote_sockaddr(&by_address, &other, sizeof other),
                 FSV_STATUS_UNSUPPORTED_FAMILY);
}

static void a_rule_for_local_ends_waits_until_the_local_end_is_known(void) {
    fsv_settings *settings = parsed(
        "{\"rules\": [{\"networkRule\": {\"localNetwork\": \"10.0.0.0:0\", \"localPrefix\": 8, "
        "\"protocol\": \"any\"}, \"action\": \"drop\"}, {\"networkRule\": {\"localNetwork\": "
        "\"10.1.0.0:0\", \"localPrefix\": 16, \"protocol\": \"any\"}, \"action\": \"drop\"}, "
        "{\"networkRule\": {\"destinationHost\": \"b.example:0\", \"protocol\": \"any\"}, \"action\": "
        "\"drop\"}], \"defaultAction\": \"allow\"}");
    fsv_matcher *matcher = NULL, *counting = NULL;
    fsv_matcher_options options = FSV_MATCHER_OPTIONS_INIT;
    fsv_flow flow = flow_to("192.0.2.1", "443");
    fsv_decision decision = FSV_DECISION_INIT;
    uint32_t rules[4] = {9, 9, 9, 9};
    size_t needed = 0;
    CHECK_OK(fsv_matcher_new(settings, NULL, &matcher, NULL));
    options.count_pending = 1;
    CHECK_OK(fsv_matcher_new(settings, &options, &counting, NULL));
    CHECK_OK(fsv_matcher_decide(matcher, &flow, &decision));
    CHECK(decision.action == FSV_ACTION_ALLOW && decision.reason == FSV_REASON_PENDING);
    CHECK(decision.is_final == 0 && decision.pending_count == 1);
    CHECK_OK(fsv_matcher_decide(counting, &flow, &decision));
    CHECK(decision.pending_count == 3);
    CHECK_STATUS(fsv_matcher_pending_rules(matcher, &flow, rules, 2, &needed),
                 FSV_STATUS_BUFFER_TOO_SMALL);
    CHECK(needed == 3 && rules[0] == 9);
    CHECK_OK(fsv_matcher_pending_rules(matcher, &flow, rules, 4, &needed));
    CHECK(needed == 3 && rules[0] == 0 && rules[1] == 1 && rules[2] == 2 && rules[3] == 9);

    CHECK_OK(fsv_flow_set_local(&flow, TEXT("10.1.2.3"), TEXT("50000")));
    CHECK_OK(fsv_matcher_decide(counting, &flow, &decision));
    CHECK(decision.action == FSV_ACTION_DROP && decision.rule == 0 && decision.is_final == 1);
    CHECK_OK(fsv_flow_set_local(&flow, TEXT("192.168.0.1"), TEXT("50000")));
    CHECK_OK(fsv_flow_set_remote_hostname(&flow, TEXT("www.B.example.")));
    CHECK_OK(fsv_matcher_decide(counting, &flow, &decision));
    CHECK(decision.action == FSV_ACTION_DROP && decision.rule == 2 && decision.pending_count == 0);
    fsv_matcher_free(matcher);
    fsv_matcher_free(counting);
    fsv_settings_free(settings);
}

int main(void) {
    text_becomes_an_end();
    a_name_in_place_of_an_address_is_the_host_name_unless_there_is_one();
    a_name_goes_with_the_end_that_it_came_with();
    a_flow_that_is_used_again_is_decided_by_its_end();
    text_that_is_none_is_refused();
    socket_addresses_become_the_same_ends();
    a_rule_for_local_ends_waits_until_the_local_end_is_known();
    return 0;
}
