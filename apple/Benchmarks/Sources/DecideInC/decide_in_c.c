#include "decide_in_c.h"

#include "../../../../include/flowsieve.h"

#include <stdlib.h>
#include <string.h>

struct c_loop {
    fsv_matcher *matcher;
    fsv_live *live;
    size_t count;
    fsv_flow *flows;
    fsv_decision *decisions;
};

static void put(uint8_t bytes[16], uint32_t address) {
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(address >> (24 - 8 * i));
    }
}

static fsv_flow made(const c_parts *parts) {
    fsv_flow flow = FSV_FLOW_INIT;
    flow.protocol = parts->protocol;
    flow.direction = parts->direction;
    flow.known = FSV_KNOWN_REMOTE | FSV_KNOWN_LOCAL;
    flow.remote_family = flow.local_family = FSV_FAMILY_IPV4;
    flow.remote_port = parts->remote_port;
    flow.local_port = parts->local_port;
    put(flow.remote_address, parts->remote_address);
    put(flow.local_address, parts->local_address);
    if (parts->name != NULL) {
        flow.known |= FSV_KNOWN_HOSTNAME;
        flow.remote_hostname = parts->name;
        flow.remote_hostname_len = strlen(parts->name);
    }
    return flow;
}

c_loop *c_loop_new(const char *json, size_t json_len, const c_parts *parts, size_t count) {
    c_loop *loop = calloc(1, sizeof *loop);
    fsv_settings *settings = NULL;
    if (loop == NULL || fsv_settings_parse(json, json_len, 0, &settings, NULL) != FSV_STATUS_OK ||
        fsv_matcher_new(settings, NULL, &loop->matcher, NULL) != FSV_STATUS_OK ||
        fsv_live_new(settings, NULL, &loop->live, NULL) != FSV_STATUS_OK ||
        (loop->flows = calloc(count, sizeof *loop->flows)) == NULL ||
        (loop->decisions = calloc(count, sizeof *loop->decisions)) == NULL) {
        fsv_settings_free(settings);
        c_loop_free(loop);
        return NULL;
    }
    fsv_settings_free(settings);
    loop->count = count;
    for (size_t i = 0; i < count; i++) {
        loop->flows[i] = made(&parts[i]);
    }
    return loop;
}

void c_loop_free(c_loop *loop) {
    if (loop != NULL) {
        fsv_matcher_free(loop->matcher);
        fsv_live_free(loop->live);
        free(loop->flows);
        free(loop->decisions);
        free(loop);
    }
}

static uint64_t answer(fsv_status status, const fsv_decision *decision) {
    return status == FSV_STATUS_OK ? (uint64_t)(decision->rule + 1u) * 8 + decision->action : 0;
}

uint64_t c_loop_decide(const c_loop *loop) {
    uint64_t sum = 0;
    for (size_t i = 0; i < loop->count; i++) {
        fsv_decision decision = FSV_DECISION_INIT;
        sum += answer(fsv_matcher_decide(loop->matcher, &loop->flows[i], &decision), &decision);
    }
    return sum;
}

uint64_t c_loop_decide_made(const c_loop *loop, const c_parts *parts) {
    uint64_t sum = 0;
    for (size_t i = 0; i < loop->count; i++) {
        fsv_flow flow = made(&parts[i]);
        fsv_decision decision = FSV_DECISION_INIT;
        sum += answer(fsv_matcher_decide(loop->matcher, &flow, &decision), &decision);
    }
    return sum;
}

uint64_t c_loop_decide_live(const c_loop *loop) {
    uint64_t sum = 0;
    for (size_t i = 0; i < loop->count; i++) {
        fsv_decision decision = FSV_DECISION_INIT;
        sum += answer(fsv_live_decide(loop->live, &loop->flows[i], &decision), &decision);
    }
    return sum;
}

uint64_t c_loop_decide_batch(const c_loop *loop, size_t batch) {
    uint64_t sum = 0;
    for (size_t first = 0; first < loop->count; first += batch) {
        size_t count = loop->count - first < batch ? loop->count - first : batch;
        loop->decisions[0] = (fsv_decision)FSV_DECISION_INIT;
        for (size_t i = 1; i < count; i++) {
            loop->decisions[i].size = sizeof loop->decisions[i];
        }
        fsv_status status =
            fsv_matcher_decide_batch(loop->matcher, loop->flows + first, count, loop->decisions);
        for (size_t i = 0; i < count; i++) {
            sum += answer(status, &loop->decisions[i]);
        }
    }
    return sum;
}
