/* Threads decide while another replaces the settings: no answer is torn. With a number as argument, so many
 * replacements are made. Generation g has g % 8 rules that do not match before the one that does, whose
 * label and action are those of g % 3. */
#include "check.h"

#include <pthread.h>

#define DECIDERS 3

static const fsv_action ACTIONS[3] = {FSV_ACTION_DROP, FSV_ACTION_ALLOW, FSV_ACTION_FILTER_DATA};
static const char *const LABELS[3] = {"a drop", "an allow", "a filter for data"};

/* The replacements begin when every decider has decided once. */
typedef struct start {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int deciding;
} start;

typedef struct decider {
    const fsv_live *live;
    start *begin;
    uint64_t last;     /* the generation at which to stop */
    uint64_t decided;  /* out: how many decisions were made */
    uint64_t distinct; /* out: how many generations were seen */
} decider;

static fsv_settings *settings_of(uint64_t generation) {
    fsv_settings *settings = NULL;
    fsv_endpoint other = endpoint("203.0.113.0", "0"), match = endpoint("192.0.2.0", "0");
    const char *label = LABELS[generation % 3];
    uint64_t index;
    CHECK_OK(fsv_settings_new(FSV_ACTION_ALLOW, &settings));
    for (index = 0; index < generation % 8; index++) {
        CHECK_OK(fsv_settings_add_destination_network(settings, &other, 24, FSV_PROTOCOL_ANY,
                                                      FSV_ACTION_DROP, NULL, 0, NULL));
    }
    CHECK_OK(fsv_settings_add_destination_network(settings, &match, 24, FSV_PROTOCOL_ANY,
                                                  ACTIONS[generation % 3], label, strlen(label), NULL));
    return settings;
}

static void check_decision(const fsv_decision *decision) {
    const char *label = LABELS[decision->generation % 3];
    CHECK(decision->rule == decision->generation % 8);
    CHECK(decision->action == ACTIONS[decision->generation % 3]);
    CHECK(decision->reason == FSV_REASON_RULE && decision->is_final == 1);
    CHECK(decision->label_len == strlen(label));
    CHECK(memcmp(decision->label, label, decision->label_len) == 0);
}

static void has_decided(start *begin) {
    CHECK(pthread_mutex_lock(&begin->mutex) == 0);
    begin->deciding++;
    CHECK(pthread_cond_signal(&begin->changed) == 0);
    CHECK(pthread_mutex_unlock(&begin->mutex) == 0);
}

static void wait_until_all_have_decided(start *begin) {
    CHECK(pthread_mutex_lock(&begin->mutex) == 0);
    while (begin->deciding < DECIDERS) CHECK(pthread_cond_wait(&begin->changed, &begin->mutex) == 0);
    CHECK(pthread_mutex_unlock(&begin->mutex) == 0);
}

static void *decide(void *argument) {
    decider *self = (decider *)argument;
    fsv_flow flows[4];
    uint64_t seen = (uint64_t)-1;
    size_t index;
    for (index = 0; index < 4; index++) {
        flows[index] = flow_to("192.0.2.7", "443");
    }
    while (seen != self->last) {
        fsv_decision decision = FSV_DECISION_INIT;
        fsv_decision batch[4];
        CHECK_OK(fsv_live_decide(self->live, &flows[0], &decision));
        check_decision(&decision);
        CHECK(seen == (uint64_t)-1 || decision.generation >= seen);
        self->distinct += decision.generation != seen;
        seen = decision.generation;
        batch[0] = batch[1] = batch[2] = batch[3] = decision;
        CHECK_OK(fsv_live_decide_batch(self->live, flows, 4, batch));
        for (index = 0; index < 4; index++) {
            check_decision(&batch[index]);
            CHECK(batch[index].generation == batch[0].generation && batch[index].generation >= seen);
        }
        if (self->decided == 0) has_decided(self->begin);
        self->decided += 5;
    }
    return NULL;
}

static void counters_are_of_one_generation(const fsv_live *live, uint64_t last) {
    fsv_matcher *matcher = NULL;
    fsv_flow flow = flow_to("192.0.2.7", "443");
    fsv_flow local = flow_to("127.0.0.1", "443");
    fsv_decision decision = FSV_DECISION_INIT;
    fsv_hits hits = FSV_HITS_INIT;
    uint64_t before[8], after[8];
    size_t needed = 0;
    CHECK_OK(fsv_live_matcher(live, &matcher));
    CHECK(fsv_matcher_generation(matcher) == last && fsv_matcher_rule_count(matcher) == last % 8 + 1);
    CHECK_OK(fsv_matcher_rule_hits(matcher, before, 8, &needed));
    CHECK(needed == last % 8 + 1);
    CHECK_OK(fsv_live_decide(live, &flow, &decision));
    CHECK_OK(fsv_matcher_decide(matcher, &flow, &decision));
    CHECK_OK(fsv_matcher_decide(matcher, &local, &decision));
    CHECK(decision.reason == FSV_REASON_LOOPBACK);
    flow.direction = 9;
    CHECK_STATUS(fsv_matcher_decide(matcher, &flow, &decision), FSV_STATUS_INVALID_ARGUMENT);
    CHECK_OK(fsv_matcher_rule_hits(matcher, after, 8, &needed));
    CHECK(after[last % 8] == before[last % 8] + 2);
    CHECK_OK(fsv_matcher_hits(matcher, &hits));
    CHECK(hits.by_rule == after[last % 8] && hits.by_loopback == 1 && hits.failed == 1);
    CHECK(hits.by_default == 0);
    fsv_matcher_free(matcher);
}

static void a_refused_replacement_changes_nothing(void) {
    fsv_settings *small = settings_of(0), *large = settings_of(0);
    fsv_matcher_options options = FSV_MATCHER_OPTIONS_INIT;
    fsv_matcher *matcher = NULL;
    fsv_live *live = NULL;
    fsv_error *error = NULL;
    uint64_t generation = 9;
    fsv_endpoint any = endpoint("10.0.0.0", "0");
    int index;
    for (index = 0; index < 500; index++) {
        CHECK_OK(fsv_settings_add_destination_network(large, &any, 8, FSV_PROTOCOL_ANY, FSV_ACTION_DROP,
                                                      NULL, 0, NULL));
    }
    CHECK_OK(fsv_matcher_new(small, NULL, &matcher, NULL));
    options.max_bytes = fsv_matcher_size_bytes(matcher);
    CHECK_OK(fsv_live_new(small, &options, &live, NULL));
    CHECK_STATUS(fsv_live_replace(live, large, &generation, &error), FSV_STATUS_MATCHER_TOO_LARGE);
    CHECK(generation == 9 && fsv_live_generation(live) == 0);
    CHECK_OK(fsv_live_replace(live, small, NULL, NULL));
    CHECK(fsv_live_generation(live) == 1);
    fsv_error_free(error);
    fsv_live_free(live);
    fsv_matcher_free(matcher);
    fsv_settings_free(small);
    fsv_settings_free(large);
}

int main(int count, char **arguments) {
    uint64_t last = count > 1 ? strtoull(arguments[1], NULL, 10) : 10000, generation, made = 0;
    fsv_matcher_options options = FSV_MATCHER_OPTIONS_INIT;
    fsv_settings *settings = settings_of(0);
    fsv_live *live = NULL;
    pthread_t threads[DECIDERS];
    decider deciders[DECIDERS];
    start begin;
    int index;
    memset(&begin, 0, sizeof begin);
    CHECK(pthread_mutex_init(&begin.mutex, NULL) == 0);
    CHECK(pthread_cond_init(&begin.changed, NULL) == 0);
    options.count_hits = 1;
    CHECK_OK(fsv_live_new(settings, &options, &live, NULL));
    fsv_settings_free(settings);
    for (index = 0; index < DECIDERS; index++) {
        memset(&deciders[index], 0, sizeof deciders[index]);
        deciders[index].live = live;
        deciders[index].begin = &begin;
        deciders[index].last = last;
        CHECK(pthread_create(&threads[index], NULL, decide, &deciders[index]) == 0);
    }
    wait_until_all_have_decided(&begin);
    for (generation = 1; generation <= last; generation++) {
        settings = settings_of(generation);
        CHECK_OK(fsv_live_replace(live, settings, &made, NULL));
        CHECK(made == generation);
        fsv_settings_free(settings);
    }
    for (index = 0; index < DECIDERS; index++) {
        CHECK(pthread_join(threads[index], NULL) == 0);
        CHECK(deciders[index].decided > 0 && (deciders[index].distinct > 1 || last == 0));
        printf("a thread made %llu decisions in %llu generations\n",
               (unsigned long long)deciders[index].decided,
               (unsigned long long)deciders[index].distinct);
    }
    CHECK(pthread_cond_destroy(&begin.changed) == 0);
    CHECK(pthread_mutex_destroy(&begin.mutex) == 0);
    counters_are_of_one_generation(live, last);
    fsv_live_free(live);
    a_refused_replacement_changes_nothing();
    return 0;
}
