// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if Tokens
import MosquittoTokens
#endif

/// Examines one connection, step by step. This type does the I/O; ``Diagnosis`` interprets the results.
struct Examination: Sendable {
    let endpoint: MQTTEndpoint
    let configuration: MQTTClientConfiguration
    /// The time limit of each step.
    let limit: Duration
    let loopBack: LoopBack
    let logger: Logger

    /// - Parameter show: called with each step when it is done, in order.
    func run(_ show: (ConnectionReport.Step, ConnectionReport) -> Void) async -> ConnectionReport {
        var report = ConnectionReport(
            endpoint: "\(endpoint)", isThroughProxy: proxy != nil, isWebSocket: endpoint.webSocket != nil)
        let addresses = await names(&report)
        show(.names, report)
        if let addresses { report.tcp = await tcp(addresses) }
        show(.tcp, report)
        let isReachable = [.ok, .warning].contains(report.tcp.status)
        let credentials = await token(&report)
        if isReachable {
            // The client itself would wait for a token to become valid.
            if let credentials, report.token.diagnosis?.cause != .tokenNotYetValid {
                await connect(credentials, &report, show)
                return report
            }
            await certificates(&report)
        }
        for step in [ConnectionReport.Step.proxy, .tls, .token, .upgrade, .connack, .loopback] { show(step, report) }
        return report
    }

    private var proxy: MQTTProxy? { configuration.connection.proxy.flatMap { $0.serves(endpoint) ? $0 : nil } }

    /// The host that this machine resolves and connects to: the broker, or the proxy.
    private var nearest: MQTTEndpoint { proxy.map { MQTTEndpoint(host: $0.host, port: $0.port) } ?? endpoint }

    // MARK: Names and addresses

    private func names(_ report: inout ConnectionReport) async -> [String]? {
        if endpoint.isUnixSocket { return [endpoint.host] }
        let host = nearest.host
        var facts = NameFacts(host: host)
        let start = ContinuousClock.now
        let answer = await within(limit) { await AddressProbe.lookUp(host) }
        facts.seconds = (ContinuousClock.now - start).inSeconds
        switch answer {
        case .found(let addresses)?:
            facts.addresses = addresses
            report.names = Finding(facts)
            return addresses
        case .failed(let error)?: report.names = Finding(facts, .names(facts, error: error, isProxy: proxy != nil))
        case nil: report.names = Finding(facts, .slowNames(host, limit: limit))
        }
        return nil
    }

    /// Tries all addresses at the same time, so that a silent one does not delay the others.
    private func tcp(_ addresses: [String]) async -> Finding<ConnectFacts> {
        let (endpoint, limit) = (nearest, limit)
        var facts = ConnectFacts(port: endpoint.port)
        facts.addresses = await withTaskGroup(of: (Int, ConnectFacts.Address).self) { group in
            for (index, address) in addresses.enumerated() {
                group.addTask {
                    let result =
                        endpoint.isUnixSocket
                        ? await AddressProbe.connect(unixSocket: address, limit: limit)
                        : await AddressProbe.connect(address, port: endpoint.port, limit: limit)
                    return (index, result)
                }
            }
            return await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
        }
        let isFailure = facts.addresses.allSatisfy { $0.failure != nil }
        return Finding(facts, .tcp(facts, isTLS: configuration.tls != nil, isProxy: proxy != nil), isFailure: isFailure)
    }

    // MARK: Credentials

    /// Asks for the credentials once. Returns `nil` if none are available.
    private func token(_ report: inout ConnectionReport) async -> MQTTCredentials? {
        guard let provider = configuration.credentials else {
            report.token = Finding(TokenFacts())
            return .anonymous
        }
        let attempt = MQTTConnectAttempt(endpoint: endpoint)
        let answer = await within(configuration.timeouts.credentials) { () -> Result<MQTTCredentials, any Error> in
            do { return .success(try await provider.credentials(for: attempt)) } catch { return .failure(error) }
        }
        switch answer {
        case .success(let credentials)?:
            var facts = TokenFacts(credentials, source: provider.source, now: .now)
            #if Tokens
            if let issuer = provider as? MQTTOAuth2Credentials { facts.clockSkew = await issuer.clockSkew() }
            #endif
            let problem = Diagnosis.token(facts)
            report.token = Finding(facts, problem?.diagnosis, isFailure: problem?.isFailure ?? false)
            return credentials
        case .failure(let error)?:
            fail(&report, provider.source, (error as? MQTTError)?.message ?? "\(error)")
        case nil:
            fail(
                &report, provider.source,
                "it was not there within \(TimeText.length(configuration.timeouts.credentials.inSeconds))")
        }
        return nil
    }

    private func fail(_ report: inout ConnectionReport, _ source: String, _ message: String) {
        report.token = Finding(TokenFacts(source: source), .credentials(message, source: source))
    }

    // MARK: TLS, CONNACK and the message

    /// Without credentials no CONNECT can be sent; the broker's TLS handshake is examined anyway.
    private func certificates(_ report: inout ConnectionReport) async {
        guard let tls = configuration.tls else { return }
        var facts = tlsFacts(tls)
        facts.fill(await CertificateProbe.peer(configuration))
        report.tls = .skipped(facts)
    }

    private func tlsFacts(_ tls: MQTTTLSConfiguration) -> TLSFacts {
        TLSFacts(host: tls.serverName ?? endpoint.host, hasClientCertificate: tls.identity != nil)
    }

    private func connect(
        _ credentials: MQTTCredentials, _ report: inout ConnectionReport,
        _ show: (ConnectionReport.Step, ConnectionReport) -> Void
    ) async {
        var configuration = configuration
        configuration.credentials = .static(username: credentials.username, password: credentials.password)
        let recorder = PeerRecorder()
        // A pre-shared key has no certificate to show.
        if configuration.tls?.preSharedKey == nil, var tls = configuration.tls {
            recorder.record(in: &tls)
            configuration.tls = tls
        }
        let client = MQTTClient(configuration, logger: logger)
        let start = ContinuousClock.now
        let runner = Task { () -> MQTTError? in
            do throws(MQTTError) {
                try await client.run()
                return nil
            } catch { return error }
        }
        do throws(MQTTError) {
            let info = try await client.waitUntilConnected()
            let time = ContinuousClock.now - start
            if let proxy { report.proxy = Finding(ProxyFacts(proxy)) }
            if let tls = configuration.tls { report.tls = Finding(connected(tlsFacts(tls), info, recorder)) }
            if let path = endpoint.webSocket?.path { report.upgrade = Finding(UpgradeFacts(path: path)) }
            report.connack = Finding(ConnackFacts(info, configuration.version, time))
        } catch {
            let hints = PlatformHint.likely(
                endpoint, configuration, username: credentials.username, hasPassword: credentials.password != nil)
            await failed(await runner.value ?? error, recorder, hints, &report)
        }
        for step in [ConnectionReport.Step.proxy, .tls, .token, .upgrade, .connack] { show(step, report) }
        if report.connack.status == .ok { report.loopback = await loopBack.finding(client) { await runner.value } }
        show(.loopback, report)
        try? await client.shutdown()
        _ = await runner.value
    }

    private func connected(_ facts: TLSFacts, _ info: MQTTConnectionInfo, _ recorder: PeerRecorder) -> TLSFacts {
        var facts = facts
        facts.fill(recorder.peer)
        facts.version = info.tls?.version
        facts.cipher = info.tls?.cipher
        facts.group = info.tls?.group
        facts.applicationProtocol = info.tls?.applicationProtocol
        return facts
    }

    /// - Parameter hints: likely causes at this platform.
    private func failed(
        _ error: MQTTError, _ recorder: PeerRecorder, _ hints: [String], _ report: inout ConnectionReport
    ) async {
        let now = Date.now
        if let proxy {
            var facts = ProxyFacts(proxy)
            // The addresses of the proxy connected before: what fails in this phase is the proxy's part.
            let isProxy =
                error.code == .proxy && error.phase != .upgrade || error.phase == .connect
                || error.tls?.isProxy == true
            if isProxy {
                facts.httpStatus = error.httpStatus
                facts.failedCheck = error.tls?.verification.map(TLSFacts.FailedCheck.init)
            }
            report.proxy = isProxy ? Finding(facts, .proxy(error, facts)) : Finding(facts)
            if isProxy { return }
        }
        if let tls = configuration.tls {
            var facts = tlsFacts(tls)
            let isTLS = error.tls != nil || error.phase == .tlsHandshake || error.code == .tlsConfiguration
            var peer = recorder.peer
            if peer == nil, isTLS { peer = await CertificateProbe.peer(configuration) }
            facts.fill(peer)
            facts.alert = error.tls?.alert.flatMap { $0.received ? $0.name : nil }
            facts.failedCheck = error.tls?.verification.map(TLSFacts.FailedCheck.init)
            // A platform that wants a protocol by ALPN may end the handshake without it.
            let isEnded = isTLS && error.tls?.verification == nil
            report.tls =
                isTLS
                ? Finding(facts, Diagnosis.tls(error, facts, now: now).preceded(by: isEnded ? hints : []))
                : Finding(facts)
            if isTLS { return }
        } else if [.connack, .upgrade].contains(error.phase), error.reasonCode == nil, error.httpStatus == nil {
            // A TLS port closes the connection or stays silent; a TLS handshake shows whether the port speaks TLS.
            let peer = await CertificateProbe.peer(configuration)
            if peer != nil || error.tls?.kind == .tlsRequired {
                var facts = TLSFacts(host: endpoint.host)
                facts.fill(peer)
                report.tls = Finding(facts, .tlsRequired)
                return
            }
        }
        if let path = endpoint.webSocket?.path {
            if error.phase == .upgrade {
                let diagnosis = Diagnosis.upgrade(error, isTLS: configuration.tls != nil)
                report.upgrade = Finding(UpgradeFacts(path: path, error), diagnosis)
                return
            }
            report.upgrade = Finding(UpgradeFacts(path: path))
        }
        report.connack = Finding(
            ConnackFacts(error, configuration),
            Diagnosis.connack(error, report.token.facts, isTLS: configuration.tls != nil, now: now)
                .preceded(by: hints))
    }
}
