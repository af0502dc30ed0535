/* Structs are laid out as the library has them, initialisers set what they say, and versions agree. */
#include "check.h"

#define STATIC_CHECK(name, claim) typedef char static_check_##name[(claim) ? 1 : -1]

STATIC_CHECK(action, sizeof(fsv_action) == 1);
STATIC_CHECK(direction, sizeof(fsv_direction) == 1);
STATIC_CHECK(protocol, sizeof(fsv_protocol) == 2);
STATIC_CHECK(status, sizeof(fsv_status) == 4);
#if UINTPTR_MAX == UINT64_MAX
STATIC_CHECK(endpoint, sizeof(fsv_endpoint) == 32);
STATIC_CHECK(flow, sizeof(fsv_flow) == 96);
STATIC_CHECK(flow_remote_port, offsetof(fsv_flow, remote_port) == 12);
STATIC_CHECK(flow_remote_address, offsetof(fsv_flow, remote_address) == 16);
STATIC_CHECK(flow_hostname, offsetof(fsv_flow, remote_hostname) == 48);
STATIC_CHECK(flow_local_scope, offsetof(fsv_flow, local_scope) == 80);
STATIC_CHECK(decision, sizeof(fsv_decision) == 40);
STATIC_CHECK(decision_rule, offsetof(fsv_decision, rule) == 8);
STATIC_CHECK(decision_label, offsetof(fsv_decision, label) == 24);
STATIC_CHECK(options, sizeof(fsv_matcher_options) == 24);
STATIC_CHECK(options_max_bytes, offsetof(fsv_matcher_options, max_bytes) == 16);
STATIC_CHECK(rule, sizeof(fsv_rule) == 392);
STATIC_CHECK(rule_protocol, offsetof(fsv_rule, protocol) == 8);
STATIC_CHECK(rule_prefix, offsetof(fsv_rule, remote_prefix) == 16);
STATIC_CHECK(rule_hostname, offsetof(fsv_rule, remote_hostname) == 40);
STATIC_CHECK(hits, sizeof(fsv_hits) == 40);
#endif

static void initialisers_set_the_size_and_nothing_else(void) {
    fsv_flow flow = FSV_FLOW_INIT;
    fsv_flow zero;
    fsv_decision decision = FSV_DECISION_INIT;
    fsv_matcher_options options = FSV_MATCHER_OPTIONS_INIT;
    fsv_rule rule = FSV_RULE_INIT;
    fsv_hits hits = FSV_HITS_INIT;
    memset(&zero, 0, sizeof zero);
    zero.size = sizeof zero;
    CHECK(memcmp(&flow, &zero, sizeof zero) == 0);
    CHECK(decision.size == sizeof decision && decision.action == FSV_ACTION_NONE);
    CHECK(decision.rule == FSV_NO_RULE && decision.label == NULL);
    CHECK(options.size == sizeof options && options.failure_action == FSV_ACTION_DROP);
    CHECK(options.keep_settings == 1 && options.count_hits == 0 && options.max_bytes == 0);
    CHECK(rule.size == sizeof rule && rule.label == NULL);
    CHECK(hits.size == sizeof hits && hits.failed == 0);
}

static void versions_agree(void) {
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", FSV_VERSION_MAJOR, FSV_VERSION_MINOR, FSV_VERSION_PATCH);
    CHECK(strcmp(text, FSV_VERSION) == 0);
    CHECK(strcmp(fsv_version(), FSV_VERSION) == 0);
    CHECK(fsv_version_number() == (uint32_t)FSV_VERSION_NUMBER);
#ifdef CARGO_VERSION
    CHECK(strcmp(CARGO_VERSION, FSV_VERSION) == 0);
#endif
}

int main(void) {
    initialisers_set_the_size_and_nothing_else();
    versions_agree();
    return 0;
}
