// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOSSL
internal import Synchronization

/// Settings that a test may change while the broker runs. The event loop reads them when it accepts or answers a
/// connection.
final class BrokerSettings: Sendable {
    private struct State {
        var script: [ConnectionScript]
        var nextInScript = 0
        var tls: NIOSSLContext?
        var connackProperties: [UInt8] = []
        var mergesCopies = false
        var readRate: Int?
        var objections: [ScriptedBroker.Objection] = []
        var webSocket: ScriptedBroker.WebSocket?
        var nextUpgrade = 0
    }

    private let state: Mutex<State>
    let clientAuthority: String?
    let authentication: ScriptedBroker.Authentication
    let platform: ScriptedBroker.Platform?

    init(
        script: [ConnectionScript],
        tls: TestIdentity?,
        clientAuthority: String?,
        authentication: ScriptedBroker.Authentication,
        webSocket: ScriptedBroker.WebSocket?,
        platform: ScriptedBroker.Platform? = nil
    ) throws {
        self.clientAuthority = clientAuthority
        self.authentication = authentication
        self.platform = platform
        let context = try tls.map { try Self.context($0, clientAuthority: clientAuthority, platform) }
        state = Mutex(State(script: script, tls: context, webSocket: webSocket))
    }

    var tls: NIOSSLContext? { state.withLock { $0.tls } }

    var connackProperties: [UInt8] {
        get { state.withLock { $0.connackProperties } }
        set { state.withLock { $0.connackProperties = newValue } }
    }

    var mergesCopies: Bool {
        get { state.withLock { $0.mergesCopies } }
        set { state.withLock { $0.mergesCopies = newValue } }
    }

    var readRate: Int? {
        get { state.withLock { $0.readRate } }
        set { state.withLock { $0.readRate = newValue } }
    }

    var objections: [ScriptedBroker.Objection] {
        get { state.withLock { $0.objections } }
        set { state.withLock { $0.objections = newValue } }
    }

    var webSocket: ScriptedBroker.WebSocket? {
        get { state.withLock { $0.webSocket } }
        set {
            state.withLock { state in
                state.webSocket = newValue
                state.nextUpgrade = 0
            }
        }
    }

    /// The WebSockets of the connection that was just accepted, with the answer to its upgrade; `nil` without them.
    func takeUpgrade() -> (ScriptedBroker.WebSocket, ScriptedBroker.WebSocket.Upgrade)? {
        state.withLock { state in
            guard let webSocket = state.webSocket else { return nil }
            defer { state.nextUpgrade += 1 }
            let upgrades = webSocket.upgrades
            let upgrade = state.nextUpgrade < upgrades.count ? upgrades[state.nextUpgrade] : upgrades.last
            return (webSocket, upgrade ?? .accept())
        }
    }

    func setScript(_ script: [ConnectionScript]) {
        state.withLock { state in
            state.script = script
            state.nextInScript = 0
        }
    }

    /// The script of the connection that was just accepted. The last one repeats; an empty list means `.serve`.
    func takeScript() -> ConnectionScript {
        state.withLock { state in
            guard let last = state.script.last else { return .serve }
            defer { state.nextInScript += 1 }
            return state.nextInScript < state.script.count ? state.script[state.nextInScript] : last
        }
    }

    func replaceIdentity(_ identity: TestIdentity) throws {
        let context = try Self.context(identity, clientAuthority: clientAuthority, platform)
        state.withLock { $0.tls = context }
    }

    private static func context(
        _ identity: TestIdentity, clientAuthority: String?, _ platform: ScriptedBroker.Platform?
    ) throws -> NIOSSLContext {
        try identity.serverContext(
            clientAuthority: clientAuthority, applicationProtocols: platform?.emulation.applicationProtocols ?? [])
    }
}
