/* Every function with NULL, short sizes, bad UTF-8, huge lengths and numbers that are none. Outputs are
 * written only on success. */
#include "check.h"

#define NULL_STATUS FSV_STATUS_NULL_POINTER
#define HUGE_LEN ((size_t)-1)

static const char BAD_UTF8[] = "caf\xC3";

static void frees_take_null(void) {
    fsv_error_free(NULL);
    fsv_settings_free(NULL);
    fsv_matcher_free(NULL);
    fsv_live_free(NULL);
}

static void values_of_null_are_as_written(void) {
    CHECK(fsv_error_status(NULL) == NULL_STATUS);
    CHECK(strcmp(fsv_error_message(NULL), "") == 0);
    CHECK(fsv_error_line(NULL) == 0 && fsv_error_column(NULL) == 0);
    CHECK(fsv_error_rule(NULL) == FSV_NO_RULE);
    CHECK(fsv_settings_default_action(NULL) == FSV_ACTION_NONE);
    CHECK(fsv_settings_rule_count(NULL) == 0);
    CHECK(fsv_matcher_failure_action(NULL) == FSV_ACTION_DROP);
    CHECK(fsv_matcher_size_bytes(NULL) == 0 && fsv_matcher_rule_count(NULL) == 0);
    CHECK(fsv_matcher_generation(NULL) == 0);
    CHECK(fsv_live_failure_action(NULL) == FSV_ACTION_DROP && fsv_live_generation(NULL) == 0);
    CHECK(strcmp(fsv_status_message(FSV_STATUS_OK), "ok") == 0);
    CHECK(strcmp(fsv_status_message(-1), "unknown status") == 0);
}

/* Text that is refused wherever it stands. */
typedef struct bad_text {
    const char *data;
    size_t len;
    fsv_status status;
} bad_text;

/* Of up to `limit` bytes, of which none is read where it has more. */
static bad_text nth_bad_text(int index, size_t limit) {
    bad_text made;
    made.data = index == 0 ? NULL : index == 1 ? BAD_UTF8 : "1";
    made.len = index == 0 ? 1 : index == 1 ? sizeof BAD_UTF8 - 1 : index == 2 ? limit + 1 : HUGE_LEN;
    made.status = index == 0   ? NULL_STATUS
                  : index == 1 ? FSV_STATUS_NOT_UTF8
                               : FSV_STATUS_TOO_LARGE;
    return made;
}
#define BAD_TEXTS 4

typedef fsv_status add_rule(fsv_settings *settings, const fsv_endpoint *end, const char *label,
                            size_t label_len, fsv_error **error);

static fsv_status add_network(fsv_settings *settings, const fsv_endpoint *end, const char *label,
                              size_t label_len, fsv_error **error) {
    return fsv_settings_add_destination_network(settings, end, 24, FSV_PROTOCOL_ANY, FSV_ACTION_DROP, label,
                                                label_len, error);
}

static fsv_status add_host(fsv_settings *settings, const fsv_endpoint *end, const char *label,
                           size_t label_len, fsv_error **error) {
    return fsv_settings_add_destination_host(settings, end, FSV_PROTOCOL_ANY, FSV_ACTION_DROP, label,
                                             label_len, error);
}

static fsv_status add_remote(fsv_settings *settings, const fsv_endpoint *end, const char *label,
                             size_t label_len, fsv_error **error) {
    return fsv_settings_add_remote_network(settings, end, 24, NULL, 0, FSV_PROTOCOL_ANY, FSV_DIRECTION_ANY,
                                           FSV_ACTION_DROP, label, label_len, error);
}

static fsv_status add_local(fsv_settings *settings, const fsv_endpoint *end, const char *label,
                            size_t label_len, fsv_error **error) {
    return fsv_settings_add_remote_network(settings, NULL, 0, end, 24, FSV_PROTOCOL_ANY, FSV_DIRECTION_ANY,
                                           FSV_ACTION_DROP, label, label_len, error);
}

static void every_text_of_a_rule_is_checked(void) {
    static const struct {
        add_rule *add;
        const char *host;
    } KINDS[] = {{add_network, "192.0.2.0"},
                 {add_host, "a.example"},
                 {add_remote, "192.0.2.0"},
                 {add_local, "192.0.2.0"}};
    fsv_settings *settings = NULL;
    size_t kind;
    int index;
    CHECK_OK(fsv_settings_new(FSV_ACTION_ALLOW, &settings));
    for (kind = 0; kind < sizeof KINDS / sizeof KINDS[0]; kind++) {
        add_rule *const add = KINDS[kind].add;
        const fsv_endpoint good = endpoint(KINDS[kind].host, "443");
        for (index = 0; index < BAD_TEXTS; index++) {
            const bad_text of_end = nth_bad_text(index, FSV_MAX_HOST_BYTES);
            const bad_text label = nth_bad_text(index, FSV_MAX_LABEL_BYTES);
            fsv_endpoint end = good;
            fsv_error *error = NULL;
            end.hostname = of_end.data;
            end.hostname_len = of_end.len;
            CHECK_STATUS(add(settings, &end, NULL, 0, NULL), of_end.status);
            end = good;
            end.port = of_end.data;
            end.port_len = of_end.len;
            CHECK_STATUS(add(settings, &end, NULL, 0, NULL), of_end.status);
            CHECK_STATUS(add(settings, &good, label.data, label.len, &error), label.status);
            CHECK(fsv_error_status(error) == label.status && fsv_error_rule(error) == FSV_NO_RULE);
            fsv_error_free(error);
        }
        CHECK(fsv_settings_rule_count(settings) == kind);
        CHECK_OK(add(settings, &good, TEXT("a label"), NULL));
    }
    fsv_settings_free(settings);
}

static void settings_refuse(void) {
    fsv_settings *settings = NULL, *other = NULL;
    fsv_settings *const untouched = (fsv_settings *)(void *)&other;
    fsv_error *error = NULL;
    fsv_rule rule = FSV_RULE_INIT;
    char buffer[8];
    size_t needed = 77;
    fsv_endpoint host = endpoint("192.0.2.0", "0");
    fsv_endpoint bad = endpoint(BAD_UTF8, "0");
    fsv_endpoint no_text = endpoint("", "");

    CHECK_STATUS(fsv_settings_new(FSV_ACTION_ALLOW, NULL), NULL_STATUS);
    settings = untouched;
    CHECK_STATUS(fsv_settings_new(FSV_ACTION_NONE, &settings), FSV_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fsv_settings_new(3, &settings), FSV_STATUS_INVALID_ARGUMENT);
    CHECK(settings == untouched);
    CHECK_OK(fsv_settings_new(FSV_ACTION_ALLOW, &settings));

    CHECK_STATUS(fsv_settings_parse(NULL, 1, 0, &other, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_settings_parse(TEXT("{}"), 0, NULL, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_settings_parse(TEXT("{}"), 2, &other, NULL), FSV_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fsv_settings_parse("{}", HUGE_LEN, 0, &other, NULL), FSV_STATUS_TOO_LARGE);
    CHECK_STATUS(fsv_settings_parse(BAD_UTF8, 4, 0, &other, NULL), FSV_STATUS_NOT_UTF8);
    CHECK_STATUS(fsv_settings_parse(NULL, 0, 0, &other, &error), FSV_STATUS_INVALID_SETTINGS);
    CHECK(fsv_error_status(error) == FSV_STATUS_INVALID_SETTINGS && fsv_error_line(error) == 1);
    fsv_error_free(error);
    CHECK(other == NULL);

    CHECK_STATUS(fsv_settings_add_destination_network(NULL, &host, 24, FSV_PROTOCOL_ANY,
                                                      FSV_ACTION_DROP, NULL, 0, NULL),
                 NULL_STATUS);
    CHECK_STATUS(fsv_settings_add_destination_network(settings, NULL, 24, FSV_PROTOCOL_ANY,
                                                      FSV_ACTION_DROP, NULL, 0, NULL),
                 NULL_STATUS);
    CHECK_STATUS(fsv_settings_add_destination_network(settings, &host, 33, FSV_PROTOCOL_ANY,
                                                      FSV_ACTION_DROP, NULL, 0, &error),
                 FSV_STATUS_INVALID_PREFIX);
    CHECK(strcmp(fsv_error_message(error), "prefix length 33 exceeds 32 for an IPv4 address") == 0);
    CHECK(fsv_error_line(error) == 0 && fsv_error_rule(error) == FSV_NO_RULE);
    fsv_error_free(error);
    CHECK_STATUS(fsv_settings_add_destination_network(settings, &host, FSV_PREFIX_NOT_FOUND,
                                                      FSV_PROTOCOL_ANY, FSV_ACTION_DROP, NULL, 0, NULL),
                 FSV_STATUS_INVALID_PREFIX);
    CHECK_STATUS(fsv_settings_add_destination_network(settings, &host, 24, 257, FSV_ACTION_DROP, NULL, 0,
                                                      &error),
                 FSV_STATUS_INVALID_ARGUMENT);
    CHECK(strncmp(fsv_error_message(error), "unknown protocol `257`", 22) == 0);
    fsv_error_free(error);
    CHECK_STATUS(fsv_settings_add_destination_network(settings, &host, 24, FSV_PROTOCOL_ANY, 3, NULL, 0,
                                                      NULL),
                 FSV_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fsv_settings_add_destination_network(settings, &bad, 24, FSV_PROTOCOL_ANY,
                                                      FSV_ACTION_DROP, NULL, 0, &error),
                 FSV_STATUS_NOT_UTF8);
    CHECK(strcmp(fsv_error_message(error), "text is not UTF-8") == 0);
    fsv_error_free(error);

    CHECK_STATUS(fsv_settings_add_destination_host(NULL, &host, FSV_PROTOCOL_ANY, FSV_ACTION_DROP, NULL, 0,
                                                   NULL),
                 NULL_STATUS);
    CHECK_STATUS(fsv_settings_add_destination_host(settings, NULL, FSV_PROTOCOL_ANY, FSV_ACTION_DROP,
                                                   NULL, 0, NULL),
                 NULL_STATUS);
    CHECK_STATUS(fsv_settings_add_destination_host(settings, &host, FSV_PROTOCOL_ANY, FSV_ACTION_DROP,
                                                   NULL, 0, NULL),
                 FSV_STATUS_INVALID_HOST);
    CHECK_STATUS(fsv_settings_add_destination_host(settings, &no_text, FSV_PROTOCOL_ANY, FSV_ACTION_DROP,
                                                   NULL, 0, NULL),
                 FSV_STATUS_INVALID_HOST);

    CHECK_STATUS(fsv_settings_add_remote_network(NULL, NULL, 0, NULL, 0, FSV_PROTOCOL_ANY, 0,
                                                 FSV_ACTION_DROP, NULL, 0, NULL),
                 NULL_STATUS);
    CHECK_STATUS(fsv_settings_add_remote_network(settings, NULL, 0, NULL, 0, FSV_PROTOCOL_ANY, 3,
                                                 FSV_ACTION_DROP, NULL, 0, &error),
                 FSV_STATUS_INVALID_ARGUMENT);
    CHECK(strncmp(fsv_error_message(error), "unknown direction `3`", 21) == 0);
    fsv_error_free(error);

    CHECK_STATUS(fsv_settings_set_default_action(NULL, FSV_ACTION_DROP), NULL_STATUS);
    CHECK_STATUS(fsv_settings_set_default_action(settings, 0), FSV_STATUS_INVALID_ARGUMENT);
    CHECK(fsv_settings_default_action(settings) == FSV_ACTION_ALLOW);
    CHECK(fsv_settings_rule_count(settings) == 0);

    CHECK_STATUS(fsv_settings_rule(NULL, 0, &rule), NULL_STATUS);
    CHECK_STATUS(fsv_settings_rule(settings, 0, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_settings_rule(settings, 0, &rule), FSV_STATUS_OUT_OF_RANGE);
    CHECK_STATUS(fsv_settings_rule(settings, HUGE_LEN, &rule), FSV_STATUS_OUT_OF_RANGE);
    rule.size = FSV_RULE_MIN_SIZE - 1;
    CHECK_STATUS(fsv_settings_rule(settings, 0, &rule), FSV_STATUS_INVALID_SIZE);

    CHECK_STATUS(fsv_settings_validate_for_framework(NULL, buffer, 8, &needed), NULL_STATUS);
    CHECK_STATUS(fsv_settings_validate_for_framework(settings, NULL, 8, &needed), NULL_STATUS);
    CHECK_STATUS(fsv_settings_validate_for_framework(settings, buffer, 8, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_settings_write(NULL, buffer, 8, &needed), NULL_STATUS);
    CHECK_STATUS(fsv_settings_write(settings, buffer, 8, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_settings_write(settings, NULL, 8, &needed), NULL_STATUS);
    CHECK(needed == 77);
    CHECK_STATUS(fsv_settings_write(settings, buffer, 8, &needed), FSV_STATUS_BUFFER_TOO_SMALL);
    CHECK(needed > 8);

    CHECK_STATUS(fsv_settings_plan(NULL, 0, 10, &other, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_settings_plan(settings, 0, 10, NULL, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_settings_plan(settings, 2, 10, &other, NULL), FSV_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fsv_settings_plan(settings, 0, HUGE_LEN, &other, &error), FSV_STATUS_TOO_MANY_RULES);
    CHECK(other == NULL);
    fsv_error_free(error);
    fsv_settings_free(settings);
}

static void flows_refuse(void) {
    fsv_flow flow = FSV_FLOW_INIT;
    fsv_flow before = flow;
    int index;

    for (index = 0; index < BAD_TEXTS; index++) {
        const bad_text text = nth_bad_text(index, FSV_MAX_HOST_BYTES);
        CHECK_STATUS(fsv_flow_set_remote(&flow, text.data, text.len, TEXT("0")), text.status);
        CHECK_STATUS(fsv_flow_set_remote(&flow, TEXT("::1"), text.data, text.len), text.status);
        CHECK_STATUS(fsv_flow_set_local(&flow, text.data, text.len, TEXT("0")), text.status);
        CHECK_STATUS(fsv_flow_set_local(&flow, TEXT("::1"), text.data, text.len), text.status);
    }
    CHECK_STATUS(fsv_flow_set_remote(NULL, TEXT("::1"), TEXT("0")), NULL_STATUS);
    CHECK_STATUS(fsv_flow_set_local(NULL, TEXT("::1"), TEXT("0")), NULL_STATUS);
    CHECK_STATUS(fsv_flow_set_local(&flow, TEXT("localhost"), TEXT("0")), FSV_STATUS_INVALID_HOST);
    CHECK_STATUS(fsv_flow_set_remote_sockaddr(NULL, &flow, 16), NULL_STATUS);
    CHECK_STATUS(fsv_flow_set_remote_sockaddr(&flow, NULL, 16), NULL_STATUS);
    CHECK_STATUS(fsv_flow_set_remote_sockaddr(&flow, &before, 0), FSV_STATUS_INVALID_SIZE);
    CHECK_STATUS(fsv_flow_set_local_sockaddr(NULL, &flow, 16), NULL_STATUS);
    CHECK_STATUS(fsv_flow_set_local_sockaddr(&flow, NULL, 16), NULL_STATUS);
    CHECK_STATUS(fsv_flow_set_local_sockaddr(&flow, &before, 1), FSV_STATUS_INVALID_SIZE);
    CHECK_STATUS(fsv_flow_set_remote_hostname(NULL, TEXT("a.b")), NULL_STATUS);
    CHECK_STATUS(fsv_flow_set_remote_hostname(&flow, NULL, 1), NULL_STATUS);
    CHECK_STATUS(fsv_flow_set_remote_hostname(&flow, "a", HUGE_LEN), FSV_STATUS_TOO_LARGE);
    CHECK_STATUS(fsv_flow_set_remote_hostname(&flow, BAD_UTF8, 4), FSV_STATUS_NOT_UTF8);
    CHECK(memcmp(&flow, &before, sizeof flow) == 0);
}

/* Sizes that no struct has whose least is `least`. */
#define BAD_SIZES 6
static uint32_t nth_bad_size(size_t index, uint32_t least) {
    const uint32_t sizes[BAD_SIZES] = {0, 1, 4, least - 1, 4097, UINT32_MAX};
    return sizes[index];
}

static void options_refuse(const fsv_settings *settings) {
    fsv_matcher *matcher = NULL;
    fsv_live *live = NULL;
    fsv_matcher_options options = FSV_MATCHER_OPTIONS_INIT;
    const fsv_matcher_options initial = options;
    fsv_error *error = NULL;
    size_t index;
    CHECK_STATUS(fsv_matcher_new(NULL, NULL, &matcher, &error), NULL_STATUS);
    CHECK(strcmp(fsv_error_message(error), "a pointer is NULL") == 0);
    fsv_error_free(error);
    CHECK_STATUS(fsv_matcher_new(settings, NULL, NULL, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_live_new(NULL, NULL, &live, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_live_new(settings, NULL, NULL, NULL), NULL_STATUS);
    for (index = 0; index < BAD_SIZES; index++) {
        options.size = nth_bad_size(index, FSV_MATCHER_OPTIONS_MIN_SIZE);
        CHECK_STATUS(fsv_matcher_new(settings, &options, &matcher, NULL), FSV_STATUS_INVALID_SIZE);
        CHECK_STATUS(fsv_live_new(settings, &options, &live, NULL), FSV_STATUS_INVALID_SIZE);
    }
    options = initial;
    options.failure_action = FSV_ACTION_NONE;
    CHECK_STATUS(fsv_matcher_new(settings, &options, &matcher, NULL), FSV_STATUS_INVALID_ARGUMENT);
    options = initial;
    options.precedence = 2;
    CHECK_STATUS(fsv_live_new(settings, &options, &live, NULL), FSV_STATUS_INVALID_ARGUMENT);
    options = initial;
    options.count_hits = 2;
    CHECK_STATUS(fsv_matcher_new(settings, &options, &matcher, NULL), FSV_STATUS_INVALID_ARGUMENT);
    options = initial;
    options.reserved[6] = 1;
    CHECK_STATUS(fsv_matcher_new(settings, &options, &matcher, NULL), FSV_STATUS_INVALID_ARGUMENT);
    options = initial;
    options.max_bytes = 100;
    CHECK_STATUS(fsv_matcher_new(settings, &options, &matcher, &error), FSV_STATUS_MATCHER_TOO_LARGE);
    CHECK(strstr(fsv_error_message(error), "which exceeds 100") != NULL);
    fsv_error_free(error);
    CHECK(matcher == NULL && live == NULL);
}

/* What is asked of a function that takes a flow, and of one that writes a decision, if it does. */
typedef struct call {
    const fsv_matcher *matcher;
    const fsv_live *live;
    fsv_flow *flow;
    fsv_decision *decision;
    size_t needed;
} call;
typedef fsv_status use_flow(call *call);

static fsv_status decide(call *call) {
    return fsv_matcher_decide(call->matcher, call->flow, call->decision);
}

static fsv_status decide_batch(call *call) {
    return fsv_matcher_decide_batch(call->matcher, call->flow, 1, call->decision);
}

static fsv_status live_decide(call *call) {
    return fsv_live_decide(call->live, call->flow, call->decision);
}

static fsv_status live_decide_batch(call *call) {
    return fsv_live_decide_batch(call->live, call->flow, 1, call->decision);
}

static fsv_status pending_rules(call *call) {
    uint32_t rules[1];
    return fsv_matcher_pending_rules(call->matcher, call->flow, rules, 1, &call->needed);
}

static fsv_status explain(call *call) {
    char text[256];
    return fsv_matcher_explain(call->matcher, call->flow, text, sizeof text, &call->needed);
}

static fsv_status set_remote(call *call) {
    return fsv_flow_set_remote(call->flow, TEXT("192.0.2.1"), TEXT("443"));
}

static fsv_status set_local(call *call) {
    return fsv_flow_set_local(call->flow, TEXT("0.0.0.0"), TEXT("0"));
}

/* The socket address of 0.0.0.0, whose family is 2 everywhere. */
static fsv_status set_sockaddr(call *call, fsv_status (*set)(fsv_flow *, const void *, size_t)) {
    unsigned char address[16] = {0};
#if defined(__APPLE__) || defined(__FreeBSD__)
    address[1] = 2;
#else
    const uint16_t family = 2;
    memcpy(address, &family, sizeof family);
#endif
    return set(call->flow, address, sizeof address);
}

static fsv_status set_remote_sockaddr(call *call) {
    return set_sockaddr(call, fsv_flow_set_remote_sockaddr);
}

static fsv_status set_local_sockaddr(call *call) {
    return set_sockaddr(call, fsv_flow_set_local_sockaddr);
}

static fsv_status set_hostname(call *call) {
    return fsv_flow_set_remote_hostname(call->flow, TEXT("a.b"));
}

static void a_size_that_no_struct_has_is_refused(const fsv_settings *settings, const fsv_live *live) {
    static const struct {
        use_flow *use;
        int decides;
    } USES[] = {{decide, 1},      {decide_batch, 1},        {live_decide, 1},
                {live_decide_batch, 1}, {pending_rules, 0}, {explain, 0},
                {set_remote, 0},  {set_local, 0},           {set_remote_sockaddr, 0},
                {set_local_sockaddr, 0}, {set_hostname, 0}};
    const fsv_flow good = flow_to("192.0.2.1", "443");
    const fsv_decision untouched = FSV_DECISION_INIT;
    fsv_matcher *matcher = NULL;
    size_t use, index;
    /* One that can explain. */
    CHECK_OK(fsv_matcher_new(settings, NULL, &matcher, NULL));
    for (use = 0; use < sizeof USES / sizeof USES[0]; use++) {
        fsv_flow flow = good, before;
        fsv_decision decision = untouched;
        call made;
        made.matcher = matcher;
        made.live = live;
        made.flow = &flow;
        made.decision = &decision;
        made.needed = 77;
        for (index = 0; index < BAD_SIZES; index++) {
            flow.size = nth_bad_size(index, FSV_FLOW_MIN_SIZE);
            before = flow;
            CHECK_STATUS(USES[use].use(&made), FSV_STATUS_INVALID_SIZE);
            CHECK(memcmp(&flow, &before, sizeof flow) == 0);
            CHECK(memcmp(&decision, &untouched, sizeof decision) == 0 && made.needed == 77);
        }
        flow = good;
        for (index = 0; index < BAD_SIZES && USES[use].decides; index++) {
            decision.size = nth_bad_size(index, FSV_DECISION_MIN_SIZE);
            CHECK_STATUS(USES[use].use(&made), FSV_STATUS_INVALID_SIZE);
            decision.size = untouched.size;
            CHECK(memcmp(&decision, &untouched, sizeof decision) == 0);
        }
        CHECK_OK(USES[use].use(&made));
    }
    fsv_matcher_free(matcher);
}

static void decisions_refuse(const fsv_matcher *matcher, const fsv_live *live) {
    fsv_flow flow = flow_to("192.0.2.1", "443");
    const fsv_flow good = flow;
    fsv_flow flows[3];
    fsv_decision decision = FSV_DECISION_INIT;
    fsv_decision decisions[3];
    const fsv_decision untouched = decision;
    char text[8];
    uint32_t rules[1];
    uint64_t counts[1];
    size_t needed = 77;
    int index;
    flows[0] = flows[1] = flows[2] = good;
    decisions[0] = decisions[1] = decisions[2] = untouched;

    CHECK_STATUS(fsv_matcher_decide(NULL, &flow, &decision), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_decide(matcher, NULL, &decision), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_live_decide(NULL, &flow, &decision), NULL_STATUS);
    CHECK_STATUS(fsv_live_decide(live, NULL, &decision), NULL_STATUS);
    CHECK_STATUS(fsv_live_decide(live, &flow, NULL), NULL_STATUS);

    flow.direction = 3;
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow, &decision), FSV_STATUS_INVALID_ARGUMENT);
    flow = good;
    flow.known |= 1u << 31;
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow, &decision), FSV_STATUS_INVALID_FLOW);
    flow = good;
    flow.remote_family = 5;
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow, &decision), FSV_STATUS_INVALID_FLOW);
    flow = good;
    flow.local_family = FSV_FAMILY_NAME;
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow, &decision), FSV_STATUS_INVALID_FLOW);
    flow = good;
    flow.known |= FSV_KNOWN_REMOTE_SCOPE;
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow, &decision), FSV_STATUS_INVALID_FLOW);
    flow.remote_family = FSV_FAMILY_IPV6;
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow, &decision), FSV_STATUS_INVALID_SCOPE);
    memset(flow.remote_scope, 'e', sizeof flow.remote_scope);
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow, &decision), FSV_STATUS_INVALID_SCOPE);
    flow = good;
    flow.known |= FSV_KNOWN_HOSTNAME;
    flow.remote_hostname_len = 3;
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow, &decision), NULL_STATUS);
    flow.remote_hostname = "abc";
    flow.remote_hostname_len = HUGE_LEN;
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow, &decision), FSV_STATUS_TOO_LARGE);
    flow.remote_hostname = BAD_UTF8;
    flow.remote_hostname_len = 4;
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow, &decision), FSV_STATUS_NOT_UTF8);
    CHECK(memcmp(&decision, &untouched, sizeof decision) == 0);

    flows[2] = flow;
    CHECK_STATUS(fsv_matcher_decide_batch(NULL, flows, 3, decisions), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_decide_batch(matcher, NULL, 3, decisions), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_decide_batch(matcher, flows, 3, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_decide_batch(matcher, flows, 3, decisions), FSV_STATUS_NOT_UTF8);
    CHECK_STATUS(fsv_matcher_decide_batch(matcher, flows, HUGE_LEN, decisions), FSV_STATUS_TOO_LARGE);
    CHECK_STATUS(fsv_live_decide_batch(NULL, flows, 3, decisions), NULL_STATUS);
    CHECK_STATUS(fsv_live_decide_batch(live, NULL, 3, decisions), NULL_STATUS);
    CHECK_STATUS(fsv_live_decide_batch(live, flows, 3, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_live_decide_batch(live, flows, 3, decisions), FSV_STATUS_NOT_UTF8);
    CHECK_STATUS(fsv_live_decide_batch(live, flows, HUGE_LEN, decisions), FSV_STATUS_TOO_LARGE);
    /* As many bytes as just do not overflow, and are more than can be. */
    CHECK_STATUS(fsv_live_decide_batch(live, flows, HUGE_LEN / sizeof flows[0], decisions),
                 FSV_STATUS_TOO_LARGE);
    /* The second struct of this size would stand where none may. */
    flows[0].size = FSV_FLOW_MIN_SIZE + 1;
    CHECK_STATUS(fsv_matcher_decide_batch(matcher, flows, 3, decisions), FSV_STATUS_INVALID_SIZE);
    CHECK_STATUS(fsv_live_decide_batch(live, flows, 3, decisions), FSV_STATUS_INVALID_SIZE);
    CHECK_OK(fsv_matcher_decide_batch(matcher, NULL, 0, NULL));
    CHECK_OK(fsv_live_decide_batch(live, NULL, 0, NULL));
    for (index = 0; index < 3; index++) {
        CHECK(memcmp(&decisions[index], &untouched, sizeof untouched) == 0);
    }

    CHECK_STATUS(fsv_matcher_explain(NULL, &good, text, 8, &needed), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_explain(matcher, NULL, text, 8, &needed), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_explain(matcher, &good, NULL, 8, &needed), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_explain(matcher, &good, text, 8, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_explain(matcher, &good, text, 8, &needed), FSV_STATUS_NOT_KEPT);
    CHECK_STATUS(fsv_matcher_pending_rules(NULL, &good, rules, 1, &needed), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_pending_rules(matcher, NULL, rules, 1, &needed), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_pending_rules(matcher, &good, NULL, 1, &needed), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_pending_rules(matcher, &good, rules, 1, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_rule_hits(NULL, counts, 1, &needed), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_rule_hits(matcher, NULL, 1, &needed), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_rule_hits(matcher, counts, 1, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_rule_hits(matcher, counts, 1, &needed), FSV_STATUS_NOT_KEPT);
    CHECK(needed == 77);
}

static void counters_refuse(const fsv_matcher *matcher) {
    fsv_hits hits = FSV_HITS_INIT;
    CHECK_STATUS(fsv_matcher_hits(NULL, &hits), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_hits(matcher, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_matcher_hits(matcher, &hits), FSV_STATUS_NOT_KEPT);
    hits.size = FSV_HITS_MIN_SIZE - 1;
    CHECK_STATUS(fsv_matcher_hits(matcher, &hits), FSV_STATUS_INVALID_SIZE);
}

static void live_refuses(const fsv_live *live, const fsv_settings *settings) {
    fsv_matcher *matcher = NULL;
    uint64_t generation = 77;
    CHECK_STATUS(fsv_live_replace(NULL, settings, &generation, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_live_replace(live, NULL, &generation, NULL), NULL_STATUS);
    CHECK_STATUS(fsv_live_matcher(NULL, &matcher), NULL_STATUS);
    CHECK_STATUS(fsv_live_matcher(live, NULL), NULL_STATUS);
    CHECK(matcher == NULL && generation == 77 && fsv_live_generation(live) == 0);
}

int main(void) {
    fsv_settings *settings = parsed("{\"rules\": [], \"defaultAction\": \"allow\"}");
    fsv_matcher_options options = FSV_MATCHER_OPTIONS_INIT;
    fsv_matcher *matcher = NULL;
    fsv_live *live = NULL;
    options.keep_settings = 0;
    options.failure_action = FSV_ACTION_FILTER_DATA;
    CHECK_OK(fsv_matcher_new(settings, &options, &matcher, NULL));
    CHECK_OK(fsv_live_new(settings, &options, &live, NULL));
    CHECK(fsv_matcher_failure_action(matcher) == FSV_ACTION_FILTER_DATA);
    CHECK(fsv_live_failure_action(live) == FSV_ACTION_FILTER_DATA);
    frees_take_null();
    values_of_null_are_as_written();
    settings_refuse();
    every_text_of_a_rule_is_checked();
    flows_refuse();
    options_refuse(settings);
    a_size_that_no_struct_has_is_refused(settings, live);
    decisions_refuse(matcher, live);
    counters_refuse(matcher);
    live_refuses(live, settings);
    fsv_live_free(live);
    fsv_matcher_free(matcher);
    fsv_settings_free(settings);
    return 0;
}
