#if canImport(NetworkExtension)
    import Flowsieve
    import FlowsieveObjC
    import Foundation
    import Network
    import NetworkExtension

    extension SocketFlow {
        /// Reads a flow of the framework: on macOS 15 and later its `remoteFlowEndpoint` and
        /// `localFlowEndpoint`, before that its `remoteEndpoint` and `localEndpoint`.
        ///
        /// An endpoint that is nil is not known (S-22).
        ///
        /// - Throws: for an endpoint that is neither address nor name (a Bonjour service, a path, a URL), for a
        ///   protocol number over 255, and for a direction that is not known. Such a flow cannot be decided.
        public init(_ flow: NEFilterSocketFlow) throws(FlowsieveError) {
            if #available(macOS 15.0, *) {
                try self.init(networkEndpointsOf: flow)
            } else {
                try self.init(hostEndpointsOf: flow)
            }
        }

        @available(macOS 15.0, *)
        init(networkEndpointsOf flow: NEFilterSocketFlow) throws(FlowsieveError) {
            try self.init(withoutEndpointsOf: flow)
            if let endpoint = flow.remoteFlowEndpoint {
                try set(endpoint, of: flow, .remote)
            }
            if let endpoint = flow.localFlowEndpoint {
                try set(endpoint, of: flow, .local)
            }
        }

        init(hostEndpointsOf flow: NEFilterSocketFlow) throws(FlowsieveError) {
            try self.init(withoutEndpointsOf: flow)
            var endpoint: FSVHostEndpoint?
            if let endpoint = try host(FSVRemoteHostEndpoint(flow, &endpoint), endpoint, .remote) {
                try setRemoteEndpoint(hostname: endpoint.hostname, port: endpoint.port)
            }
            if let endpoint = try host(FSVLocalHostEndpoint(flow, &endpoint), endpoint, .local) {
                try setLocalEndpoint(hostname: endpoint.hostname, port: endpoint.port)
            }
        }

        private init(withoutEndpointsOf flow: NEFilterSocketFlow) throws(FlowsieveError) {
            guard let number = UInt8(exactly: flow.socketProtocol) else {
                let message = "protocol number \(flow.socketProtocol) exceeds 255"
                throw FlowsieveError(code: .invalidFlow, message: message)
            }
            let value = flow.direction.rawValue
            guard let direction = UInt8(exactly: value).flatMap(TrafficDirection.init(rawValue:)) else {
                let message = "\(value) is no direction that is known"
                throw FlowsieveError(code: .invalidFlow, message: message)
            }
            self.init(protocolNumber: number, direction: direction)
            remoteHostname = flow.remoteHostname
        }

        private enum Side: String { case remote, local }

        @available(macOS 15.0, *)
        private mutating func set(
            _ endpoint: Network.NWEndpoint, of flow: NEFilterSocketFlow, _ side: Side
        ) throws(FlowsieveError) {
            guard case .hostPort(let host, let port) = endpoint else { throw unreadable(side) }
            switch host {
            case .ipv4(let address):
                try set(address.rawValue, port.rawValue, zone: nil, side)
            case .ipv6(let address):
                // An interface that has no name (any more) is missing here, though not from the socket address.
                // Its number is a zone all the same, and no name is equal to it (S-50).
                let zone = address.interface?.name ?? number(FSVScope(flow, side == .remote))
                try set(address.rawValue, port.rawValue, zone: zone, side)
            case .name(let name, _):
                switch side {
                case .remote: try setRemoteEndpoint(hostname: name, port: String(port.rawValue))
                case .local: try setLocalEndpoint(hostname: name, port: String(port.rawValue))
                }
            @unknown default:
                throw unreadable(side)
            }
        }

        private mutating func set(
            _ address: Data, _ port: UInt16, zone: String?, _ side: Side
        ) throws(FlowsieveError) {
            let result = address.withUnsafeBytes { bytes in
                Result { () throws(FlowsieveError) in
                    switch side {
                    case .remote: try setRemoteAddress(bytes, port: port, zone: zone)
                    case .local: try setLocalAddress(bytes, port: port, zone: zone)
                    }
                }
            }
            try result.get()
        }

        private func number(_ scope: UInt32) -> String? { scope == 0 ? nil : String(scope) }

        private func host(
            _ state: FSVEndpointState, _ endpoint: FSVHostEndpoint?, _ side: Side
        ) throws(FlowsieveError) -> FSVHostEndpoint? {
            switch state {
            case .unknown: return nil
            case .host: return endpoint
            default: throw unreadable(side)
            }
        }

        private func unreadable(_ side: Side) -> FlowsieveError {
            let message = "the \(side) endpoint is neither an address nor a host name"
            return FlowsieveError(code: .invalidFlow, message: message)
        }
    }

    extension NEFilterSocketFlow {
        /// The local and the remote endpoint, as the framework prints them.
        var endpointTexts: (local: String, remote: String) {
            if #available(macOS 15.0, *) {
                let text = { (endpoint: Network.NWEndpoint?) in endpoint.map(String.init(describing:)) }
                return (text(localFlowEndpoint) ?? "nil", text(remoteFlowEndpoint) ?? "nil")
            }
            var endpoint: FSVHostEndpoint?
            let text = { (state: FSVEndpointState, endpoint: FSVHostEndpoint?) in
                state == .host ? endpoint.map { "\($0.hostname):\($0.port)" } : nil
            }
            let local = text(FSVLocalHostEndpoint(self, &endpoint), endpoint)
            let remote = text(FSVRemoteHostEndpoint(self, &endpoint), endpoint)
            return (local ?? "nil", remote ?? "nil")
        }
    }
#endif
