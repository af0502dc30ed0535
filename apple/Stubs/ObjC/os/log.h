// What the Objective-C shim uses of os/log.h, for checks where there is none. The compiler checks the formats.
#ifndef STUB_OS_LOG_H
#define STUB_OS_LOG_H

#include <stdint.h>

typedef struct os_log_s *os_log_t;
void stub_os_log(os_log_t _Nullable log, const char *_Nonnull format, ...)
    __attribute__((format(os_log, 2, 3)));
#define OS_LOG_DEFAULT ((os_log_t _Nullable)0)
#define os_log(log, ...) stub_os_log(log, __VA_ARGS__)
#define os_log_error(log, ...) stub_os_log(log, __VA_ARGS__)
#define os_log_fault(log, ...) stub_os_log(log, __VA_ARGS__)

#endif
