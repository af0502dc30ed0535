// What the stubs have beyond the frameworks, for tests that run.
#ifndef STUBS_H
#define STUBS_H

#import <Foundation/Foundation.h>
#import <NetworkExtension/NetworkExtension.h>

NS_ASSUME_NONNULL_BEGIN

/// How many objects there are: made and not freed yet.
long StubObjectCount(void);

/// The lines that were logged with a subsystem and a category, in the order of time and each behind a line feed,
/// with every text that is not marked public left out as the system leaves it out. To be freed.
char *StubLoggedLines(const char *subsystem, const char *category);

@interface NEFilterFlow ()
@property(readwrite) NETrafficDirection direction;
@end

@interface NEFilterSocketFlow ()
@property(readwrite, nullable) nw_endpoint_t remoteFlowEndpoint;
@property(readwrite, nullable) nw_endpoint_t localFlowEndpoint;
@property(readwrite, nullable) NWEndpoint *remoteEndpoint;
@property(readwrite, nullable) NWEndpoint *localEndpoint;
@property(readwrite, nullable) NSString *remoteHostname;
@end

/// An endpoint of Network: an address with a port, `scope` 0 for none; or whatever else there is, which may have
/// neither a name nor an address.
nw_endpoint_t StubAddressEndpoint(const char *address, uint16_t port, uint32_t scope);
nw_endpoint_t StubEndpointOfType(nw_endpoint_type_t type, const char *_Nullable hostname, uint16_t port);

typedef NS_ENUM(NSInteger, StubVerdict) { StubVerdictAllow = 1, StubVerdictDrop = 2, StubVerdictFilterData = 4 };

@interface NEFilterVerdict ()
@property StubVerdict stubKind;
/// How much data is asked for, 0 where none is.
@property NSUInteger stubPeekInbound;
@property NSUInteger stubPeekOutbound;
@end

@interface NENetworkRule ()
@property NSUInteger stubRemotePrefix;
@property NSUInteger stubLocalPrefix;
@property(nullable) nw_endpoint_t stubRemote;
@property(nullable) nw_endpoint_t stubLocal;
@property NENetworkRuleProtocol stubProtocol;
@property NETrafficDirection stubDirection;
@property BOOL stubIsHostRule;
/// Whether the initialiser was one that takes NWHostEndpoint.
@property BOOL stubTookHostEndpoints;
@end

/// What a rule says, the same whichever initialiser was taken: "remote 10.0.0.0/8 port 443, local any, protocol 2,
/// direction 1" or "host example.com port 443, protocol 1". An interface stands as its number.
NSString *StubTextOfRule(NENetworkRule *rule);

@interface NEFilterRule ()
@property NENetworkRule *networkRule;
@property NEFilterAction action;
@end

@interface NEFilterDataProvider ()
/// What was applied last, and was not refused.
@property(nullable) NEFilterSettings *stubApplied;
@property(nullable) NSError *stubRefusal;
/// Whether nothing is applied or answered: the last handler is kept.
@property BOOL stubIsSilent;
@property(copy, nullable) void (^stubUnanswered)(NSError *_Nullable error);
@end

NS_ASSUME_NONNULL_END

#endif
