/* A program in C that decides a flow, for scripts/check-apple to link. */
#include <flowsieve.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    static const char json[] = "{\"rules\": [], \"defaultAction\": \"drop\"}";
    fsv_settings *settings = NULL;
    fsv_matcher *matcher = NULL;
    fsv_error *error = NULL;
    fsv_flow flow = FSV_FLOW_INIT;
    fsv_decision decision = FSV_DECISION_INIT;

    if (fsv_settings_parse(json, strlen(json), 0, &settings, &error) != FSV_STATUS_OK ||
        fsv_matcher_new(settings, NULL, &matcher, &error) != FSV_STATUS_OK) {
        fprintf(stderr, "%s\n", fsv_error_message(error));
        fsv_error_free(error);
        return 1;
    }
    flow.protocol = FSV_PROTOCOL_TCP;
    flow.direction = FSV_DIRECTION_OUTBOUND;
    if (fsv_flow_set_remote(&flow, "192.0.2.1", 9, "443", 3) != FSV_STATUS_OK ||
        fsv_matcher_decide(matcher, &flow, &decision) != FSV_STATUS_OK) {
        decision.action = fsv_matcher_failure_action(matcher);
    }
    printf("%d\n", decision.action);
    fsv_matcher_free(matcher);
    fsv_settings_free(settings);
    return 0;
}
