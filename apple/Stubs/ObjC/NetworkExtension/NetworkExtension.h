// What the Objective-C shim uses of NetworkExtension, for checks where there is none.
#ifndef STUB_NETWORK_EXTENSION_H
#define STUB_NETWORK_EXTENSION_H

#import <Foundation/Foundation.h>
#import <Network/Network.h>

NS_ASSUME_NONNULL_BEGIN

typedef NS_ENUM(NSInteger, NETrafficDirection) {
    NETrafficDirectionAny = 0,
    NETrafficDirectionInbound = 1,
    NETrafficDirectionOutbound = 2,
};

typedef NS_ENUM(NSInteger, NEFilterAction) {
    NEFilterActionInvalid = 0,
    NEFilterActionAllow = 1,
    NEFilterActionDrop = 2,
    NEFilterActionRemediate = 3,
    NEFilterActionFilterData = 4,
};

typedef NS_ENUM(NSInteger, NENetworkRuleProtocol) {
    NENetworkRuleProtocolAny = 0,
    NENetworkRuleProtocolTCP = 1,
    NENetworkRuleProtocolUDP = 2,
};

typedef NS_ENUM(NSInteger, NEProviderStopReason) {
    NEProviderStopReasonNone = 0,
    NEProviderStopReasonUserInitiated = 1,
};

API_DEPRECATED("", macos(10.11, 15.0))
@interface NWEndpoint : NSObject
@end

API_DEPRECATED("", macos(10.11, 15.0))
@interface NWHostEndpoint : NWEndpoint
@property(readonly) NSString *hostname;
@property(readonly) NSString *port;
+ (instancetype)endpointWithHostname:(NSString *)hostname port:(NSString *)port;
@end

@interface NENetworkRule : NSObject
- (instancetype)initWithDestinationHostEndpoint:(nw_endpoint_t)hostEndpoint
                                       protocol:(NENetworkRuleProtocol)protocol API_AVAILABLE(macos(15.0));
- (instancetype)initWithRemoteNetworkEndpoint:(nullable nw_endpoint_t)remoteNetwork
                                 remotePrefix:(NSUInteger)remotePrefix
                         localNetworkEndpoint:(nullable nw_endpoint_t)localNetwork
                                  localPrefix:(NSUInteger)localPrefix
                                     protocol:(NENetworkRuleProtocol)protocol
                                    direction:(NETrafficDirection)direction API_AVAILABLE(macos(15.0));
- (instancetype)initWithDestinationHost:(NWHostEndpoint *)hostEndpoint
                               protocol:(NENetworkRuleProtocol)protocol API_DEPRECATED("", macos(10.15, 15.0));
- (instancetype)initWithRemoteNetwork:(nullable NWHostEndpoint *)remoteNetwork
                         remotePrefix:(NSUInteger)remotePrefix
                         localNetwork:(nullable NWHostEndpoint *)localNetwork
                          localPrefix:(NSUInteger)localPrefix
                             protocol:(NENetworkRuleProtocol)protocol
                            direction:(NETrafficDirection)direction API_DEPRECATED("", macos(10.15, 15.0));
@end

@interface NEFilterRule : NSObject
- (instancetype)initWithNetworkRule:(NENetworkRule *)networkRule action:(NEFilterAction)action;
@end

@interface NEFilterSettings : NSObject
@property(readonly, copy) NSArray<NEFilterRule *> *rules;
@property(readonly) NEFilterAction defaultAction;
- (instancetype)initWithRules:(NSArray<NEFilterRule *> *)rules defaultAction:(NEFilterAction)defaultAction;
@end

@interface NEFilterFlow : NSObject
@property(readonly) NETrafficDirection direction API_AVAILABLE(macos(10.15));
@end

@interface NEFilterSocketFlow : NEFilterFlow
@property(readonly, nullable) nw_endpoint_t remoteFlowEndpoint API_AVAILABLE(macos(15.0));
@property(readonly, nullable) nw_endpoint_t localFlowEndpoint API_AVAILABLE(macos(15.0));
@property(readonly, nullable) NWEndpoint *remoteEndpoint API_DEPRECATED("", macos(10.11, 15.0));
@property(readonly, nullable) NWEndpoint *localEndpoint API_DEPRECATED("", macos(10.11, 15.0));
@property(readonly, nullable) NSString *remoteHostname API_AVAILABLE(macos(11.0));
@property int socketFamily;
@property int socketType;
@property int socketProtocol;
@end

#define NEFilterFlowBytesMax UINT64_MAX

@interface NEFilterVerdict : NSObject
@end

@interface NEFilterNewFlowVerdict : NEFilterVerdict
+ (NEFilterNewFlowVerdict *)allowVerdict;
+ (NEFilterNewFlowVerdict *)dropVerdict;
+ (NEFilterNewFlowVerdict *)filterDataVerdictWithFilterInbound:(BOOL)filterInbound
                                              peekInboundBytes:(NSUInteger)peekInboundBytes
                                                filterOutbound:(BOOL)filterOutbound
                                             peekOutboundBytes:(NSUInteger)peekOutboundBytes;
@end

@interface NEFilterDataVerdict : NEFilterVerdict
+ (NEFilterDataVerdict *)allowVerdict;
+ (NEFilterDataVerdict *)dropVerdict;
@end

@interface NEFilterProviderConfiguration : NSObject
@property(copy, nullable) NSDictionary<NSString *, id> *vendorConfiguration;
@end

@interface NEProvider : NSObject
@end

@interface NEFilterProvider : NEProvider
@property(readonly) NEFilterProviderConfiguration *filterConfiguration;
- (void)startFilterWithCompletionHandler:(void (^)(NSError *_Nullable error))completionHandler;
- (void)stopFilterWithReason:(NEProviderStopReason)reason completionHandler:(void (^)(void))completionHandler;
@end

@interface NEFilterDataProvider : NEFilterProvider
- (NEFilterNewFlowVerdict *)handleNewFlow:(NEFilterFlow *)flow;
- (NEFilterDataVerdict *)handleInboundDataFromFlow:(NEFilterFlow *)flow
                              readBytesStartOffset:(NSUInteger)offset
                                         readBytes:(NSData *)readBytes;
- (NEFilterDataVerdict *)handleOutboundDataFromFlow:(NEFilterFlow *)flow
                               readBytesStartOffset:(NSUInteger)offset
                                          readBytes:(NSData *)readBytes;
- (NEFilterDataVerdict *)handleInboundDataCompleteForFlow:(NEFilterFlow *)flow;
- (NEFilterDataVerdict *)handleOutboundDataCompleteForFlow:(NEFilterFlow *)flow;
- (void)applySettings:(nullable NEFilterSettings *)settings
    completionHandler:(void (^)(NSError *_Nullable error))completionHandler;
@end

NS_ASSUME_NONNULL_END

#endif
