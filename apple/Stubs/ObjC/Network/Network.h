// What the Objective-C shim uses of Network, for checks where there is none.
#ifndef STUB_NETWORK_H
#define STUB_NETWORK_H

#import <Foundation/Foundation.h>
#include <sys/socket.h>

NS_ASSUME_NONNULL_BEGIN

@protocol OS_nw_endpoint <NSObject>
@end
typedef NSObject<OS_nw_endpoint> *nw_endpoint_t;

typedef enum {
    nw_endpoint_type_invalid = 0,
    nw_endpoint_type_address = 1,
    nw_endpoint_type_host = 2,
    nw_endpoint_type_bonjour_service = 3,
    nw_endpoint_type_url = 4,
} nw_endpoint_type_t;

nw_endpoint_t nw_endpoint_create_host(const char *hostname, const char *port)
    __attribute__((ns_returns_retained)) API_AVAILABLE(macos(10.14));
nw_endpoint_type_t nw_endpoint_get_type(nw_endpoint_t endpoint) API_AVAILABLE(macos(10.14));
const char *nw_endpoint_get_hostname(nw_endpoint_t endpoint) API_AVAILABLE(macos(10.14));
uint16_t nw_endpoint_get_port(nw_endpoint_t endpoint) API_AVAILABLE(macos(10.14));
const struct sockaddr *nw_endpoint_get_address(nw_endpoint_t endpoint) API_AVAILABLE(macos(10.14));

NS_ASSUME_NONNULL_END

#endif
