#import "FSVFilterDataProvider.h"
#import "FSVHostEndpoints.h"

#import <Network/Network.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/// Sets one end of a flow from text or from a socket address.
typedef struct Setters {
    fsv_status (*text)(fsv_flow *, const char *, size_t, const char *, size_t);
    fsv_status (*sockaddr)(fsv_flow *, const void *, size_t);
} Setters;

static const Setters remoteEnd = {fsv_flow_set_remote, fsv_flow_set_remote_sockaddr};
static const Setters localEnd = {fsv_flow_set_local, fsv_flow_set_local_sockaddr};

/// Text that is no Unicode, for instance a lone surrogate, comes as NULL.
static fsv_status setText(fsv_flow *read, Setters set, const char *_Nullable host, const char *_Nullable port) {
    if (host == NULL || port == NULL) {
        return FSV_STATUS_NOT_UTF8;
    }
    return set.text(read, host, strlen(host), port, strlen(port));
}

/// Rules name interfaces, socket addresses number them.
static void nameScope(char scope[16], uint32_t index) {
    char name[IF_NAMESIZE] = {0};
    if (if_indextoname(index, name) != NULL) {
        memset(scope, 0, 16);
        memcpy(scope, name, strnlen(name, 15));
    }
}

static fsv_status setEndpoint(fsv_flow *read, Setters set, BOOL isRemote,
                              nw_endpoint_t endpoint) API_AVAILABLE(macos(15.0)) {
    nw_endpoint_type_t type = nw_endpoint_get_type(endpoint);
    if (type == nw_endpoint_type_host) {
        char port[8] = {0};
        snprintf(port, sizeof port, "%u", (unsigned)nw_endpoint_get_port(endpoint));
        const char *hostname = nw_endpoint_get_hostname(endpoint);
        return hostname == NULL ? FSV_STATUS_INVALID_FLOW : setText(read, set, hostname, port);
    }
    const struct sockaddr *address = NULL;
    if (type == nw_endpoint_type_address) {
        address = nw_endpoint_get_address(endpoint);
    }
    if (address == NULL) {
        return FSV_STATUS_INVALID_FLOW;
    }
    fsv_status status = set.sockaddr(read, address, address->sa_len);
    if (status == FSV_STATUS_OK && address->sa_family == AF_INET6) {
        struct sockaddr_in6 address6;
        memcpy(&address6, address, sizeof address6);
        if (address6.sin6_scope_id != 0) {
            nameScope(isRemote ? read->remote_scope : read->local_scope, address6.sin6_scope_id);
        }
    }
    return status;
}

uint32_t FSVScope(NEFilterSocketFlow *flow, BOOL isRemote) {
    nw_endpoint_t endpoint = isRemote ? flow.remoteFlowEndpoint : flow.localFlowEndpoint;
    if (endpoint == nil || nw_endpoint_get_type((nw_endpoint_t _Nonnull)endpoint) != nw_endpoint_type_address) {
        return 0;
    }
    const struct sockaddr *address = nw_endpoint_get_address((nw_endpoint_t _Nonnull)endpoint);
    if (address == NULL || address->sa_family != AF_INET6) {
        return 0;
    }
    struct sockaddr_in6 address6;
    memcpy(&address6, address, sizeof address6);
    return address6.sin6_scope_id;
}

static fsv_status setHostEndpoint(fsv_flow *read, Setters set, FSVEndpointState state,
                                  FSVHostEndpoint *_Nullable endpoint) {
    if (state == FSVEndpointStateUnknown) {
        return FSV_STATUS_OK;
    }
    if (state != FSVEndpointStateHost || endpoint == nil) {
        return FSV_STATUS_INVALID_FLOW;
    }
    return setText(read, set, endpoint.hostname.UTF8String, endpoint.port.UTF8String);
}

fsv_status FSVReadFlow(NEFilterSocketFlow *flow, fsv_flow *read, NSObject *_Nullable *_Nonnull names) {
    fsv_flow made = FSV_FLOW_INIT;
    if (flow.socketProtocol < 0 || flow.socketProtocol > UINT8_MAX) {
        return FSV_STATUS_INVALID_FLOW;
    }
    made.protocol = (uint8_t)flow.socketProtocol;
    switch (flow.direction) {
    case NETrafficDirectionAny:
    case NETrafficDirectionInbound:
    case NETrafficDirectionOutbound:
        made.direction = (fsv_direction)flow.direction;
        break;
    default:
        return FSV_STATUS_INVALID_FLOW;
    }

    NSMutableArray<NSObject *> *kept = [NSMutableArray array];
    fsv_status status = FSV_STATUS_OK;
    NSString *name = flow.remoteHostname;
    if (name != nil) {
        NSData *text = [name dataUsingEncoding:NSUTF8StringEncoding];
        if (text == nil) {
            return FSV_STATUS_NOT_UTF8;
        }
        [kept addObject:text];
        status = fsv_flow_set_remote_hostname(&made, text.bytes, text.length);
    }
    if (@available(macOS 15.0, *)) {
        nw_endpoint_t remote = flow.remoteFlowEndpoint;
        nw_endpoint_t local = flow.localFlowEndpoint;
        if (status == FSV_STATUS_OK && remote != nil) {
            // A name is the endpoint's own text.
            [kept addObject:(NSObject *)remote];
            status = setEndpoint(&made, remoteEnd, YES, remote);
        }
        if (status == FSV_STATUS_OK && local != nil) {
            status = setEndpoint(&made, localEnd, NO, local);
        }
    } else {
        FSVHostEndpoint *endpoint = nil;
        if (status == FSV_STATUS_OK) {
            FSVEndpointState state = FSVRemoteHostEndpoint(flow, &endpoint);
            if (endpoint != nil) {
                NSData *text = [endpoint.hostname dataUsingEncoding:NSUTF8StringEncoding];
                const char *port = endpoint.port.UTF8String;
                if (text == nil || port == NULL) {
                    return FSV_STATUS_NOT_UTF8;
                }
                [kept addObject:text];
                status = fsv_flow_set_remote(&made, text.bytes, text.length, port, strlen(port));
            } else if (state != FSVEndpointStateUnknown) {
                status = FSV_STATUS_INVALID_FLOW;
            }
        }
        if (status == FSV_STATUS_OK) {
            FSVHostEndpoint *local = nil;
            FSVEndpointState state = FSVLocalHostEndpoint(flow, &local);
            status = setHostEndpoint(&made, localEnd, state, local);
        }
    }
    if (status == FSV_STATUS_OK) {
        *read = made;
        *names = kept;
    }
    return status;
}
