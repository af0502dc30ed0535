/* A filter for outgoing TCP to one host, written with prefix length 0, is asked about every IPv4 address. */
#include "check.h"

static fsv_matcher *filter_with_prefix(uint64_t prefix) {
    fsv_settings *settings = NULL;
    fsv_matcher *matcher = NULL;
    fsv_endpoint host = endpoint("111.111.111.111", "0");
    CHECK_OK(fsv_settings_new(FSV_ACTION_ALLOW, &settings));
    CHECK_OK(fsv_settings_add_remote_network(settings, &host, prefix, NULL, 0, FSV_PROTOCOL_TCP,
                                             FSV_DIRECTION_OUTBOUND, FSV_ACTION_FILTER_DATA,
                                             TEXT("outgoing TCP"), NULL));
    CHECK_OK(fsv_matcher_new(settings, NULL, &matcher, NULL));
    fsv_settings_free(settings);
    return matcher;
}

static fsv_action action_for(const fsv_matcher *matcher, const char *host) {
    fsv_flow flow = flow_to(host, "80");
    fsv_decision decision = FSV_DECISION_INIT;
    CHECK_OK(fsv_matcher_decide(matcher, &flow, &decision));
    CHECK(decision.is_final == 1 && decision.pending_count == 0 && decision.generation == 0);
    if (decision.action == FSV_ACTION_FILTER_DATA) {
        CHECK(decision.rule == 0 && decision.reason == FSV_REASON_RULE);
        CHECK(decision.label_len == 12 && memcmp(decision.label, "outgoing TCP", 12) == 0);
    } else {
        CHECK(decision.rule == FSV_NO_RULE && decision.reason == FSV_REASON_DEFAULT);
        CHECK(decision.label == NULL && decision.label_len == 0);
    }
    return decision.action;
}

static void a_decision_is_explained(const fsv_matcher *matcher) {
    fsv_flow flow = flow_to("123.123.123.123", "80");
    char text[400];
    size_t needed = 0;
    CHECK_STATUS(fsv_matcher_explain(matcher, &flow, NULL, 0, &needed), FSV_STATUS_BUFFER_TOO_SMALL);
    CHECK(needed > 1 && needed <= sizeof text);
    memset(text, 'x', sizeof text);
    CHECK_STATUS(fsv_matcher_explain(matcher, &flow, text, needed - 1, &needed),
                 FSV_STATUS_BUFFER_TOO_SMALL);
    CHECK(text[0] == 'x');
    CHECK_OK(fsv_matcher_explain(matcher, &flow, text, sizeof text, &needed));
    CHECK(strlen(text) == needed - 1);
    CHECK(strcmp(text, "allow by default\n"
                       "rule 0 fails: TCP outbound, remote 111.111.111.111/32 [outgoing TCP] - remote "
                       "address 123.123.123.123 is not in 111.111.111.111/32\n") == 0);
}

int main(void) {
    fsv_matcher *meant = filter_with_prefix(32);
    fsv_matcher *written = filter_with_prefix(0);
    CHECK(action_for(meant, "111.111.111.111") == FSV_ACTION_FILTER_DATA);
    CHECK(action_for(meant, "111.222.111.222") == FSV_ACTION_ALLOW);
    CHECK(action_for(meant, "123.123.123.123") == FSV_ACTION_ALLOW);
    CHECK(action_for(written, "111.111.111.111") == FSV_ACTION_FILTER_DATA);
    CHECK(action_for(written, "111.222.111.222") == FSV_ACTION_FILTER_DATA);
    CHECK(action_for(written, "123.123.123.123") == FSV_ACTION_FILTER_DATA);
    a_decision_is_explained(meant);
    fsv_matcher_free(meant);
    fsv_matcher_free(written);
    return 0;
}
