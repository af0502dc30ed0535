// The same decisions through the C interface alone. It has its own types, so that Swift sees those of
// flowsieve.h once.
#ifndef DECIDE_IN_C_H
#define DECIDE_IN_C_H

#include <stddef.h>
#include <stdint.h>

// What a flow is made of: IPv4 addresses as numbers, of which the first byte is the highest.
typedef struct c_parts {
    uint32_t remote_address;
    uint32_t local_address;
    uint16_t remote_port;
    uint16_t local_port;
    uint8_t protocol;
    uint8_t direction;
    const char *_Nullable name; // with a NUL; NULL: none
} c_parts;

typedef struct c_loop c_loop;

// Makes a matcher and flows; NULL if that fails. The names are borrowed.
c_loop *_Nullable c_loop_new(const char *_Nonnull json, size_t json_len, const c_parts *_Nonnull parts,
                             size_t count);

void c_loop_free(c_loop *_Nullable loop);

// Each decides all flows and returns the sum of the answers: of each flow one more than the index of the rule
// (0: none) times 8, and the action.
uint64_t c_loop_decide(const c_loop *_Nonnull loop);
uint64_t c_loop_decide_made(const c_loop *_Nonnull loop, const c_parts *_Nonnull parts);
uint64_t c_loop_decide_live(const c_loop *_Nonnull loop);
// Of so many flows in a call.
uint64_t c_loop_decide_batch(const c_loop *_Nonnull loop, size_t batch);

#endif
