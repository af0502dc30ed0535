/* Decides one flow by a settings file, in C99:
 *
 *     decide SETTINGS HOST PORT
 *
 * as a content filter would in handleNewFlow: an outbound TCP flow whose socket is not bound yet.
 */
#include <flowsieve.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads a file whole; NULL if that cannot be. */
static char *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    char *text = NULL, *more;
    size_t room = 0;
    int failed = 0;
    *len = 0;
    if (file == NULL) return NULL;
    do {
        room = 2 * room + 4096;
        more = realloc(text, room);
        if (more == NULL) {
            failed = 1;
            break;
        }
        text = more;
        *len += fread(text + *len, 1, room - *len, file);
    } while (*len == room);
    failed = failed || ferror(file);
    fclose(file);
    if (failed) {
        free(text);
        return NULL;
    }
    return text;
}

/* Prints an error and frees it. */
static void print_error(const char *path, fsv_error *error) {
    fprintf(stderr, "%s: %s\n", path, fsv_error_message(error));
    fsv_error_free(error);
}

/* Compiles a settings file; NULL, with a message printed, if something is wrong with it. */
static fsv_matcher *matcher_of_file(const char *path) {
    size_t len;
    char *json = read_file(path, &len);
    fsv_settings *settings = NULL;
    fsv_matcher *matcher = NULL;
    fsv_error *error = NULL;
    if (json == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return NULL;
    }
    if (fsv_settings_parse(json, len, 0, &settings, &error) != FSV_STATUS_OK) {
        print_error(path, error);
    } else if (fsv_matcher_new(settings, NULL, &matcher, &error) != FSV_STATUS_OK) {
        print_error(path, error);
    }
    fsv_settings_free(settings);
    free(json);
    return matcher;
}

static const char *action_name(fsv_action action) {
    switch (action) {
    case FSV_ACTION_ALLOW: return "allow";
    case FSV_ACTION_FILTER_DATA: return "filterData";
    default: return "drop";
    }
}

int main(int count, char **arguments) {
    fsv_flow flow = FSV_FLOW_INIT;
    fsv_decision decision = FSV_DECISION_INIT;
    fsv_matcher *matcher;
    fsv_status status;
    if (count != 4) {
        fprintf(stderr, "usage: %s SETTINGS HOST PORT\n", arguments[0]);
        return 2;
    }
    matcher = matcher_of_file(arguments[1]);
    if (matcher == NULL) return 2;

    flow.protocol = FSV_PROTOCOL_TCP;
    flow.direction = FSV_DIRECTION_OUTBOUND;
    status = fsv_flow_set_remote(&flow, arguments[2], strlen(arguments[2]), arguments[3],
                                 strlen(arguments[3]));
    if (status == FSV_STATUS_OK) status = fsv_flow_set_local(&flow, "0.0.0.0", 7, "0", 1);
    if (status == FSV_STATUS_OK) status = fsv_matcher_decide(matcher, &flow, &decision);

    if (status != FSV_STATUS_OK) {
        printf("%s: %s\n", action_name(fsv_matcher_failure_action(matcher)), fsv_status_message(status));
    } else if (decision.rule == FSV_NO_RULE) {
        printf("%s by %s\n", action_name(decision.action),
               decision.reason == FSV_REASON_LOOPBACK ? "loopback" : "default");
    } else {
        printf("%s by rule %u (%.*s)\n", action_name(decision.action), (unsigned)decision.rule,
               (int)decision.label_len, decision.label != NULL ? decision.label : "");
    }
    fsv_matcher_free(matcher);
    return status == FSV_STATUS_OK ? 0 : 1;
}
