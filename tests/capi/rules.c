/* Settings are built rule by rule, read back, written, validated and planned; errors say where. */
#include "check.h"

static fsv_rule rule_at(const fsv_settings *settings, size_t index) {
    fsv_rule rule = FSV_RULE_INIT;
    CHECK_OK(fsv_settings_rule(settings, index, &rule));
    CHECK(rule.size == sizeof rule);
    return rule;
}

static fsv_settings *built(void) {
    fsv_settings *settings = NULL;
    fsv_endpoint net = endpoint("198.51.100.0", "443");
    fsv_endpoint name = endpoint("example.com", "");
    fsv_endpoint remote = endpoint("fe80::1%en0", "1000-2000");
    fsv_endpoint local = endpoint("::", "53");
    CHECK_OK(fsv_settings_new(FSV_ACTION_DROP, &settings));
    CHECK_OK(fsv_settings_add_destination_network(settings, &net, 24, FSV_PROTOCOL_TCP, FSV_ACTION_DROP,
                                                  TEXT("test net"), NULL));
    CHECK_OK(fsv_settings_add_destination_host(settings, &name, FSV_PROTOCOL_ANY,
                                               FSV_ACTION_FILTER_DATA, NULL, 0, NULL));
    CHECK_OK(fsv_settings_add_remote_network(settings, &remote, 128, &local, 64, 58,
                                             FSV_DIRECTION_INBOUND, FSV_ACTION_ALLOW, "", 0, NULL));
    CHECK_OK(fsv_settings_add_remote_network(settings, NULL, 999, NULL, 999, FSV_PROTOCOL_UDP,
                                             FSV_DIRECTION_ANY, FSV_ACTION_ALLOW, NULL, 0, NULL));
    CHECK_OK(fsv_settings_set_default_action(settings, FSV_ACTION_ALLOW));
    return settings;
}

static void rules_are_read_back(const fsv_settings *settings) {
    fsv_rule rule;
    CHECK(fsv_settings_rule_count(settings) == 4);
    CHECK(fsv_settings_default_action(settings) == FSV_ACTION_ALLOW);

    rule = rule_at(settings, 0);
    CHECK(rule.kind == FSV_RULE_DESTINATION_NETWORK && rule.is_host == 0 && rule.has_local == 0);
    CHECK(rule.action == FSV_ACTION_DROP && rule.direction == FSV_DIRECTION_OUTBOUND);
    CHECK(rule.has_remote == 1 && strcmp(rule.remote_hostname, "198.51.100.0") == 0);
    CHECK(strcmp(rule.remote_port, "443") == 0 && rule.remote_prefix == 24);
    CHECK(rule.local_prefix == FSV_PREFIX_NOT_FOUND && rule.protocol == FSV_PROTOCOL_TCP);
    CHECK(rule.label_len == 8 && memcmp(rule.label, "test net", 8) == 0);

    rule = rule_at(settings, 1);
    CHECK(rule.kind == FSV_RULE_DESTINATION_HOST && rule.is_host == 1);
    CHECK(strcmp(rule.remote_hostname, "example.com") == 0 && strcmp(rule.remote_port, "0") == 0);
    CHECK(rule.remote_prefix == FSV_PREFIX_NOT_FOUND && rule.protocol == FSV_PROTOCOL_ANY);
    CHECK(rule.label == NULL && rule.label_len == 0);

    rule = rule_at(settings, 2);
    CHECK(rule.kind == FSV_RULE_REMOTE_NETWORK && rule.direction == FSV_DIRECTION_INBOUND);
    CHECK(strcmp(rule.remote_hostname, "fe80::1%en0") == 0 && rule.remote_prefix == 128);
    CHECK(strcmp(rule.remote_port, "1000-2000") == 0 && rule.protocol == 58);
    CHECK(rule.has_local == 1 && strcmp(rule.local_hostname, "::") == 0 && rule.local_prefix == 64);
    CHECK(strcmp(rule.local_port, "53") == 0 && rule.label != NULL && rule.label_len == 0);

    rule = rule_at(settings, 3);
    CHECK(rule.kind == FSV_RULE_REMOTE_NETWORK && rule.has_remote == 0 && rule.has_local == 0);
    CHECK(rule.remote_hostname[0] == '\0' && rule.local_port[0] == '\0');
    CHECK(rule.remote_prefix == FSV_PREFIX_NOT_FOUND && rule.local_prefix == FSV_PREFIX_NOT_FOUND);
}

static void the_longest_name_is_read_back_whole(void) {
    fsv_settings *settings = NULL;
    char name[FSV_MAX_HOST_BYTES + 1];
    fsv_endpoint host;
    memset(name, 'n', FSV_MAX_HOST_BYTES);
    name[FSV_MAX_HOST_BYTES] = '\0';
    host = endpoint(name, "65535");
    CHECK_OK(fsv_settings_new(FSV_ACTION_DROP, &settings));
    CHECK_OK(fsv_settings_add_destination_host(settings, &host, FSV_PROTOCOL_TCP, FSV_ACTION_DROP, NULL, 0,
                                               NULL));
    CHECK(strcmp(rule_at(settings, 0).remote_hostname, name) == 0);
    fsv_settings_free(settings);
}

static void settings_are_written_as_they_are_read(const fsv_settings *settings) {
    size_t needed = 0, again = 0;
    char *text, *second;
    fsv_settings *read;
    CHECK_STATUS(fsv_settings_write(settings, NULL, 0, &needed), FSV_STATUS_BUFFER_TOO_SMALL);
    text = (char *)malloc(needed);
    second = (char *)malloc(needed);
    CHECK(text != NULL && second != NULL);
    CHECK_OK(fsv_settings_write(settings, text, needed, &needed));
    CHECK(strlen(text) == needed - 1);
    read = parsed(text);
    CHECK_OK(fsv_settings_write(read, second, needed, &again));
    CHECK(needed == again && strcmp(text, second) == 0);
    rules_are_read_back(read);
    fsv_settings_free(read);
    free(text);
    free(second);
}

static void what_the_framework_would_refuse_is_listed(const fsv_settings *settings) {
    char text[400];
    size_t needed = 0;
    fsv_settings *plain = parsed("{\"rules\": []}");
    CHECK_OK(fsv_settings_validate_for_framework(settings, text, sizeof text, &needed));
    CHECK(strcmp(text, "rule 2: a network rule takes one port or any, not the range 1000-2000\n"
                       "rule 2: a network rule takes TCP, UDP or any, not protocol 58\n") == 0);
    CHECK_OK(fsv_settings_validate_for_framework(plain, text, 1, &needed));
    CHECK(needed == 1 && text[0] == '\0');
    fsv_settings_free(plain);
}

static void a_first_stage_is_planned(void) {
    fsv_settings *settings = NULL, *stage = NULL;
    fsv_error *error = NULL;
    fsv_endpoint low = endpoint("192.0.2.0", "0"), high = endpoint("192.0.2.128", "0");
    CHECK_OK(fsv_settings_new(FSV_ACTION_ALLOW, &settings));
    CHECK_OK(fsv_settings_add_destination_network(settings, &low, 25, FSV_PROTOCOL_ANY, FSV_ACTION_DROP,
                                                  NULL, 0, NULL));
    CHECK_OK(fsv_settings_add_destination_network(settings, &high, 25, FSV_PROTOCOL_ANY, FSV_ACTION_DROP,
                                                  NULL, 0, NULL));
    CHECK_OK(fsv_settings_plan(settings, FSV_PRECEDENCE_FIRST_MATCH, 1, &stage, NULL));
    CHECK(fsv_settings_rule_count(stage) == 1 && rule_at(stage, 0).remote_prefix == 24);
    fsv_settings_free(stage);
    stage = NULL;
    CHECK_STATUS(fsv_settings_plan(settings, FSV_PRECEDENCE_FIRST_MATCH, 0, &stage, &error),
                 stage == NULL ? FSV_STATUS_NO_PLAN : FSV_STATUS_OK);
    CHECK(strcmp(fsv_error_message(error), "a first stage takes more rules than 0") == 0);
    fsv_error_free(error);
    fsv_settings_free(settings);
}

static void an_error_of_text_says_where(void) {
    static const char TEXT_WITH_ERROR[] =
        "{\"rules\": [\n  {\"networkRule\": {\"destinationNetwork\": \"10.0.0.1\",\n"
        "    \"destinationPrefix\": 33, \"protocol\": \"TCP\"}, \"action\": \"drop\"}]}";
    fsv_settings *settings = NULL;
    fsv_error *error = NULL;
    CHECK_STATUS(fsv_settings_parse(TEXT(TEXT_WITH_ERROR), 0, &settings, &error),
                 FSV_STATUS_INVALID_SETTINGS);
    CHECK(fsv_error_line(error) == 3 && fsv_error_column(error) == 26 && fsv_error_rule(error) == 0);
    CHECK(strcmp(fsv_error_message(error),
                 "line 3, column 26: rule 0, key `destinationPrefix`: prefix length 33 exceeds 32 for an "
                 "IPv4 address") == 0);
    CHECK(settings == NULL);
    fsv_error_free(error);
}

static void a_name_in_a_network_is_taken_on_request(void) {
    static const char NAMED[] = "{\"rules\": [{\"networkRule\": {\"destinationNetwork\": \"a.example\", "
                                "\"destinationPrefix\": 0, \"protocol\": \"any\"}, \"action\": \"drop\"}]}";
    fsv_settings *settings = NULL;
    CHECK_STATUS(fsv_settings_parse(TEXT(NAMED), 0, &settings, NULL), FSV_STATUS_INVALID_SETTINGS);
    CHECK_OK(fsv_settings_parse(TEXT(NAMED), FSV_PARSE_HOSTNAME_IN_NETWORK, &settings, NULL));
    CHECK(rule_at(settings, 0).is_host == 1 && rule_at(settings, 0).kind == FSV_RULE_DESTINATION_NETWORK);
    fsv_settings_free(settings);
}

static void rules_added_later_do_not_change_a_matcher(void) {
    fsv_settings *settings = built();
    fsv_matcher *matcher = NULL;
    fsv_endpoint any = endpoint("0.0.0.0", "0");
    fsv_flow flow = flow_to("203.0.113.1", "80");
    fsv_decision decision = FSV_DECISION_INIT;
    char text[1000];
    size_t needed = 0;
    CHECK_OK(fsv_matcher_new(settings, NULL, &matcher, NULL));
    CHECK_OK(fsv_settings_add_destination_network(settings, &any, 0, FSV_PROTOCOL_ANY, FSV_ACTION_DROP,
                                                  NULL, 0, NULL));
    CHECK(fsv_settings_rule_count(settings) == 5 && fsv_matcher_rule_count(matcher) == 4);
    fsv_settings_free(settings);
    CHECK_OK(fsv_matcher_decide(matcher, &flow, &decision));
    CHECK(decision.action == FSV_ACTION_ALLOW && decision.rule == FSV_NO_RULE);
    CHECK_OK(fsv_matcher_explain(matcher, &flow, text, sizeof text, &needed));
    CHECK(strstr(text, "rule 3") != NULL && strstr(text, "rule 4") == NULL);
    fsv_matcher_free(matcher);
}

int main(void) {
    fsv_settings *settings = built();
    rules_are_read_back(settings);
    the_longest_name_is_read_back_whole();
    settings_are_written_as_they_are_read(settings);
    what_the_framework_would_refuse_is_listed(settings);
    a_first_stage_is_planned();
    an_error_of_text_says_where();
    a_name_in_a_network_is_taken_on_request();
    rules_added_later_do_not_change_a_matcher();
    fsv_settings_free(settings);
    return 0;
}
