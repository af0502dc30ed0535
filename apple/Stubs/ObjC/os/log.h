// What the Objective-C shim uses of os/log.h, for checks where there is none. The compiler checks the formats.
#ifndef STUB_OS_LOG_H
#define STUB_OS_LOG_H

#import <Foundation/Foundation.h>

NS_ASSUME_NONNULL_BEGIN

@protocol OS_os_log <NSObject>
@end
typedef NSObject<OS_os_log> *os_log_t;

os_log_t os_log_create(const char *subsystem, const char *category);
void stub_os_log(os_log_t log, const char *format, ...) __attribute__((format(os_log, 2, 3)));
#define os_log(log, ...) stub_os_log(log, __VA_ARGS__)
#define os_log_info(log, ...) stub_os_log(log, __VA_ARGS__)
#define os_log_error(log, ...) stub_os_log(log, __VA_ARGS__)
#define os_log_fault(log, ...) stub_os_log(log, __VA_ARGS__)

NS_ASSUME_NONNULL_END

#endif
