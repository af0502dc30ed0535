#import "FSVErrors.h"
#import "FSVFilterDataProvider.h"
#import "FSVHostEndpoints.h"
#import <Network/Network.h>
#include <string.h>

NSErrorDomain const FSVErrorDomain = @"FSVErrorDomain";
NSErrorDomain const FSVReloadErrorDomain = @"FSVReloadErrorDomain";
NSErrorUserInfoKey const FSVErrorLineKey = @"FSVErrorLine";
NSErrorUserInfoKey const FSVErrorColumnKey = @"FSVErrorColumn";
NSErrorUserInfoKey const FSVErrorRuleKey = @"FSVErrorRule";

NSError *FSVMakeError(fsv_status status, fsv_error *_Nullable error) {
    NSMutableDictionary<NSErrorUserInfoKey, id> *info = [NSMutableDictionary dictionary];
    const char *message = error == NULL ? fsv_status_message(status) : fsv_error_message(error);
    info[NSLocalizedDescriptionKey] = @(message);
    if (fsv_error_line(error) != 0) {
        info[FSVErrorLineKey] = @(fsv_error_line(error));
        info[FSVErrorColumnKey] = @(fsv_error_column(error));
    }
    if (fsv_error_rule(error) != FSV_NO_RULE) {
        info[FSVErrorRuleKey] = @(fsv_error_rule(error));
    }
    fsv_error_free(error);
    return [NSError errorWithDomain:FSVErrorDomain code:status userInfo:info];
}

BOOL FSVSucceeded(fsv_status status, fsv_error *_Nullable failure, NSError **error) {
    if (status == FSV_STATUS_OK) {
        return YES;
    }
    NSError *made = FSVMakeError(status, failure);
    if (error != NULL) {
        *error = made;
    }
    return NO;
}

/// Whether the framework takes a port: it has no ranges. The library gives no other text.
static BOOL isOnePort(const char *port) {
    return port[strspn(port, "0123456789")] == 0;
}

static FSVHostEndpoint *_Nullable made(BOOL isThere, const char *hostname, const char *port) {
    return isThere ? [[FSVHostEndpoint alloc] initWithHostname:@(hostname) port:@(port)] : nil;
}

/// Makes a rule of the initialisers of macOS 15, as the NENetworkRule.h of its SDK has them. Returns nil if the
/// system takes an address for a name, or a name for an address.
static NENetworkRule *_Nullable ofNetworkEndpoints(const fsv_rule *rule, NENetworkRuleProtocol protocol)
    API_AVAILABLE(macos(15.0)) {
    nw_endpoint_t remote = nil;
    nw_endpoint_t local = nil;
    BOOL isHost = rule->kind == FSV_RULE_DESTINATION_HOST;
    if (rule->has_remote) {
        remote = nw_endpoint_create_host(rule->remote_hostname, rule->remote_port);
        nw_endpoint_type_t meant = isHost ? nw_endpoint_type_host : nw_endpoint_type_address;
        if (remote == nil || nw_endpoint_get_type(remote) != meant) {
            return nil;
        }
    }
    if (isHost) {
        return remote == nil ? nil
                             : [[NENetworkRule alloc] initWithDestinationHostEndpoint:(nw_endpoint_t)remote
                                                                             protocol:protocol];
    }
    if (rule->has_local) {
        local = nw_endpoint_create_host(rule->local_hostname, rule->local_port);
        if (local == nil || nw_endpoint_get_type(local) != nw_endpoint_type_address) {
            return nil;
        }
    }
    return [[NENetworkRule alloc]
        initWithRemoteNetworkEndpoint:remote
                         remotePrefix:rule->has_remote ? (NSUInteger)rule->remote_prefix : 0
                 localNetworkEndpoint:local
                          localPrefix:rule->has_local ? (NSUInteger)rule->local_prefix : 0
                             protocol:protocol
                            direction:(NETrafficDirection)rule->direction];
}

/// Makes a rule of the older initialisers.
static NENetworkRule *_Nullable ofHostEndpoints(const fsv_rule *rule, NENetworkRuleProtocol protocol) {
    FSVHostEndpoint *remote = made(rule->has_remote, rule->remote_hostname, rule->remote_port);
    FSVHostEndpoint *local = made(rule->has_local, rule->local_hostname, rule->local_port);
    if (rule->kind == FSV_RULE_DESTINATION_HOST) {
        return remote == nil ? nil : FSVDestinationHostRule((FSVHostEndpoint *)remote, protocol);
    }
    // The framework wants addresses here (S-46). What it does with names is not known.
    if (rule->is_host) {
        return nil;
    }
    NSInteger remotePrefix = rule->has_remote ? (NSInteger)rule->remote_prefix : 0;
    NSInteger localPrefix = rule->has_local ? (NSInteger)rule->local_prefix : 0;
    return FSVRemoteNetworkRule(remote, remotePrefix, local, localPrefix, protocol,
                                (NETrafficDirection)rule->direction);
}

@implementation FSVFilterSettings {
    fsv_settings *_owned;
}

- (instancetype)initWithHandle:(fsv_settings *)handle {
    self = [super init];
    if (self != nil) {
        _owned = handle;
    }
    return self;
}

- (nullable instancetype)initWithJSON:(NSData *)json error:(NSError **)error {
    return [self initWithJSON:json flags:0 error:error];
}

- (nullable instancetype)initWithJSON:(NSData *)json flags:(uint32_t)flags error:(NSError **)error {
    fsv_settings *settings = NULL;
    fsv_error *failure = NULL;
    fsv_status status = fsv_settings_parse(json.bytes, json.length, flags, &settings, &failure);
    return FSVSucceeded(status, failure, error) ? [self initWithHandle:settings] : nil;
}

- (void)dealloc {
    fsv_settings_free(_owned);
}

- (const fsv_settings *)handle {
    return _owned;
}

- (nullable FSVFilterSettings *)firstStageWithLimit:(NSUInteger)limit
                                         precedence:(fsv_precedence)precedence
                                              error:(NSError **)error {
    fsv_settings *planned = NULL;
    fsv_error *failure = NULL;
    fsv_status status = fsv_settings_plan(_owned, precedence, limit, &planned, &failure);
    return FSVSucceeded(status, failure, error) ? [[FSVFilterSettings alloc] initWithHandle:planned] : nil;
}

+ (nullable FSVFilterSettings *)everythingWithError:(NSError **)error {
    fsv_settings *made = NULL;
    fsv_status status = fsv_settings_new(FSV_ACTION_FILTER_DATA, &made);
    // Loopback flows reach the extension only where rules name loopback addresses (S-64); either side may be
    // the one that has it.
    static const struct {
        fsv_endpoint network;
        int32_t prefix;
    } loopback[] = {{{"127.0.0.1", 9, "0", 1}, 32}, {{"::1", 3, "0", 1}, 128}};
    for (size_t index = 0; index < 4 && status == FSV_STATUS_OK; index++) {
        const fsv_endpoint *network = &loopback[index / 2].network;
        BOOL isRemote = index % 2 == 0;
        status = fsv_settings_add_remote_network(
            made, isRemote ? network : NULL, isRemote ? loopback[index / 2].prefix : 0, isRemote ? NULL : network,
            isRemote ? 0 : loopback[index / 2].prefix, FSV_PROTOCOL_ANY, FSV_DIRECTION_ANY, FSV_ACTION_FILTER_DATA,
            NULL, 0, NULL);
    }
    if (!FSVSucceeded(status, NULL, error)) {
        fsv_settings_free(made);
        return nil;
    }
    return [[FSVFilterSettings alloc] initWithHandle:made];
}

- (nullable NEFilterSettings *)frameworkSettingsWithError:(NSError **)error {
    NSMutableArray<NEFilterRule *> *rules = [NSMutableArray array];
    size_t count = fsv_settings_rule_count(_owned);
    for (size_t index = 0; index < count; index++) {
        fsv_rule rule = FSV_RULE_INIT;
        fsv_status status = fsv_settings_rule(_owned, index, &rule);
        if (!FSVSucceeded(status, NULL, error)) {
            return nil;
        }
        NENetworkRuleProtocol protocol = NENetworkRuleProtocolAny;
        if (rule.protocol == FSV_PROTOCOL_TCP) {
            protocol = NENetworkRuleProtocolTCP;
        } else if (rule.protocol == FSV_PROTOCOL_UDP) {
            protocol = NENetworkRuleProtocolUDP;
        } else if (rule.protocol != FSV_PROTOCOL_ANY) {
            FSVSucceeded(FSV_STATUS_INVALID_ARGUMENT, NULL, error);
            return nil;
        }
        if (!isOnePort(rule.remote_port) || !isOnePort(rule.local_port)) {
            FSVSucceeded(FSV_STATUS_INVALID_PORT, NULL, error);
            return nil;
        }
        NENetworkRule *networkRule = nil;
        if (@available(macOS 15.0, *)) {
            networkRule = ofNetworkEndpoints(&rule, protocol);
        } else {
            networkRule = ofHostEndpoints(&rule, protocol);
        }
        if (networkRule == nil) {
            FSVSucceeded(FSV_STATUS_INVALID_HOST, NULL, error);
            return nil;
        }
        [rules addObject:[[NEFilterRule alloc] initWithNetworkRule:networkRule
                                                            action:(NEFilterAction)rule.action]];
    }
    NEFilterAction action = (NEFilterAction)fsv_settings_default_action(_owned);
    return [[NEFilterSettings alloc] initWithRules:rules defaultAction:action];
}

@end
