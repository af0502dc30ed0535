/* A program that was built when the structs were smaller, and one that is newer than the library. */
#include "check.h"

/* The structs of the first version: no scope ids; no generation and no label. */
typedef struct old_flow {
    uint32_t size, known;
    uint8_t protocol, direction, remote_family, local_family;
    uint16_t remote_port, local_port;
    uint8_t remote_address[16], local_address[16];
    const char *remote_hostname;
    size_t remote_hostname_len;
} old_flow;

typedef struct old_decision {
    uint32_t size;
    uint8_t action, reason, is_final, reserved;
    uint32_t rule, pending_count;
} old_decision;

typedef struct new_flow {
    fsv_flow known;
    uint64_t more;
} new_flow;

typedef struct new_decision {
    fsv_decision known;
    uint64_t more;
} new_decision;

static fsv_matcher *matcher_of_one_rule(void) {
    fsv_matcher *matcher = NULL;
    fsv_settings *settings = parsed("{\"rules\": [{\"networkRule\": {\"destinationNetwork\": "
                                    "\"192.0.2.0:443\", \"destinationPrefix\": 24, \"protocol\": "
                                    "\"TCP\"}, \"action\": \"drop\", \"label\": \"a label\"}], "
                                    "\"defaultAction\": \"allow\"}");
    CHECK_OK(fsv_matcher_new(settings, NULL, &matcher, NULL));
    fsv_settings_free(settings);
    return matcher;
}

static void an_old_program_is_served(const fsv_matcher *matcher) {
    struct {
        old_flow flow;
        unsigned char after[64];
    } in;
    struct {
        old_decision decision;
        unsigned char after[64];
    } out;
    fsv_flow *flow = (fsv_flow *)(void *)&in.flow;
    fsv_decision *decision = (fsv_decision *)(void *)&out.decision;
    size_t index;
    CHECK(sizeof(old_flow) == FSV_FLOW_MIN_SIZE && sizeof(old_decision) == FSV_DECISION_MIN_SIZE);
    memset(&in, 0xAA, sizeof in);
    memset(&out, 0xAA, sizeof out);
    memset(&in.flow, 0, sizeof in.flow);
    in.flow.size = sizeof in.flow;
    in.flow.protocol = FSV_PROTOCOL_TCP;
    in.flow.direction = FSV_DIRECTION_OUTBOUND;
    out.decision.size = sizeof out.decision;
    CHECK_OK(fsv_flow_set_remote(flow, TEXT("192.0.2.7"), TEXT("443")));
    CHECK_OK(fsv_flow_set_local(flow, TEXT("0.0.0.0"), TEXT("0")));
    CHECK_STATUS(fsv_flow_set_local(flow, TEXT("fe80::1%en0"), TEXT("0")), FSV_STATUS_INVALID_SIZE);
    CHECK_OK(fsv_matcher_decide(matcher, flow, decision));
    CHECK(out.decision.size == sizeof out.decision && in.flow.size == sizeof in.flow);
    CHECK(out.decision.action == FSV_ACTION_DROP && out.decision.rule == 0);
    for (index = 0; index < sizeof in.after; index++) {
        CHECK(in.after[index] == 0xAA && out.after[index] == 0xAA);
    }
    CHECK_OK(fsv_flow_set_remote(flow, TEXT("a.example"), TEXT("443")));
    CHECK(in.flow.known == (FSV_KNOWN_REMOTE | FSV_KNOWN_LOCAL | FSV_KNOWN_HOSTNAME));
    CHECK_STATUS(fsv_flow_set_remote(flow, TEXT("fe80::1%en0"), TEXT("0")), FSV_STATUS_INVALID_SIZE);
    CHECK((in.flow.known & FSV_KNOWN_HOSTNAME) != 0 && in.flow.remote_hostname_len == 9);
    CHECK_OK(fsv_flow_set_remote(flow, TEXT("192.0.2.7"), TEXT("443")));
    CHECK(in.flow.known == (FSV_KNOWN_REMOTE | FSV_KNOWN_LOCAL));
    in.flow.known |= FSV_KNOWN_LOCAL_SCOPE;
    in.flow.local_family = FSV_FAMILY_IPV6;
    CHECK_STATUS(fsv_matcher_decide(matcher, flow, decision), FSV_STATUS_INVALID_FLOW);
}

static void old_arrays_are_stepped_through_by_their_own_size(const fsv_matcher *matcher) {
    old_flow flows[40];
    old_decision decisions[40];
    size_t index;
    memset(flows, 0, sizeof flows);
    memset(decisions, 0, sizeof decisions);
    for (index = 0; index < 40; index++) {
        flows[index].size = sizeof flows[index];
        flows[index].protocol = FSV_PROTOCOL_TCP;
        flows[index].direction = FSV_DIRECTION_OUTBOUND;
        decisions[index].size = sizeof decisions[index];
        CHECK_OK(fsv_flow_set_remote((fsv_flow *)(void *)&flows[index],
                                     index % 3 == 0 ? "192.0.2.7" : "192.0.3.7", 9, TEXT("443")));
    }
    CHECK_OK(fsv_matcher_decide_batch(matcher, (fsv_flow *)(void *)flows, 40,
                                      (fsv_decision *)(void *)decisions));
    for (index = 0; index < 40; index++) {
        CHECK(decisions[index].action == (index % 3 == 0 ? FSV_ACTION_DROP : FSV_ACTION_ALLOW));
    }
    decisions[20].size = sizeof(fsv_decision);
    CHECK_STATUS(fsv_matcher_decide_batch(matcher, (fsv_flow *)(void *)flows, 40,
                                          (fsv_decision *)(void *)decisions),
                 FSV_STATUS_INVALID_SIZE);
}

static void a_newer_program_is_served_as_far_as_it_is_understood(const fsv_matcher *matcher) {
    new_flow flow;
    new_decision decision;
    memset(&flow, 0, sizeof flow);
    memset(&decision, 0, sizeof decision);
    flow.known = flow_to("192.0.2.7", "443");
    flow.known.size = sizeof flow;
    decision.known.size = sizeof decision;
    decision.more = 7;
    CHECK_OK(fsv_matcher_decide(matcher, &flow.known, &decision.known));
    CHECK(decision.known.action == FSV_ACTION_DROP && decision.known.label_len == 7);
    CHECK(decision.known.size == sizeof decision && decision.more == 7);
    CHECK_OK(fsv_flow_set_local(&flow.known, TEXT("10.0.0.1"), TEXT("5000")));
    CHECK(flow.known.local_port == 5000 && flow.known.size == sizeof flow);
    flow.more = 1;
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow.known, &decision.known), FSV_STATUS_INVALID_SIZE);
}

int main(void) {
    fsv_matcher *matcher = matcher_of_one_rule();
    an_old_program_is_served(matcher);
    old_arrays_are_stepped_through_by_their_own_size(matcher);
    a_newer_program_is_served_as_far_as_it_is_understood(matcher);
    fsv_matcher_free(matcher);
    return 0;
}
