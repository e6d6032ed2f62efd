// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The OpenSSL state of one client's connections: the record that OpenSSL's callbacks read and write, and an `SSL_CTX`,
/// which clients share.
///
/// A context serves one connection at a time, on one thread. It must outlive every `SSL` created from it: ``TLSStream``
/// retains it.
///
/// `@unchecked Sendable` allows the context to be prepared off the loop and then handed over:
/// ``prepare(for:_:passphrase:turn:)`` modifies it on one thread at a time, and refuses an attempt that a later one has
/// overtaken.
final class TLSContext: @unchecked Sendable {
    private let settings: TLSSettings
    let record: UnsafeMutablePointer<cmq_tls>
    /// The name that is verified.
    private(set) var verifiedName = ""

    let configuration: MQTTTLSConfiguration
    /// The number of the last attempt that prepared the context.
    private let turn = Mutex(Int.min)
    private var endpoint: MQTTEndpoint?
    private var material: TLSMaterial?
    /// A counter, incremented by each attempt that may have changed the loaded material.
    private var loads = 0
    private var trust: TrustStore?
    private var lacksPassphrase = false
    /// The storage of the record's pointers.
    private var serverName: UnsafeMutablePointer<CChar>?
    private var checkedName: UnsafeMutablePointer<CChar>?
    private let pins: UnsafeMutableBufferPointer<UInt8>
    private let keyIdentity: UnsafeMutablePointer<CChar>?
    /// The TLS sessions of other endpoints.
    private var sessions: [MQTTEndpoint: (session: OpaquePointer, origin: TLSSessionOrigin)] = [:]
    /// The origin of the record's session, and of the current connection once the broker is authenticated.
    var origin: TLSSessionOrigin?
    /// The origin of the session that the current connection has offered.
    var offeredOrigin: TLSSessionOrigin?
    let clock: TLSClock

    /// Sets the parts that never change. Throws ``MQTTError/Code/tlsConfiguration``.
    init(_ configuration: MQTTTLSConfiguration, clock: TLSClock = .system) throws(MQTTError) {
        OpenSSLLibrary.initialize
        self.clock = clock
        self.configuration = configuration
        let keyLog: Int32? = if let path = configuration.keyLogFile { try TLSFile.openKeyLog(path) } else { nil }
        record = .allocate(capacity: 1)
        record.initialize(to: cmq_tls())
        cmq_tls_reset(record)
        pins = .allocate(capacity: configuration.pins.count * 32)
        _ = pins.initialize(from: configuration.pins.flatMap(\.sha256))
        keyIdentity = configuration.preSharedKey.flatMap { strdup($0.identity) }
        record.pointee.skips_verification = configuration.verification == .none
        record.pointee.accepts_common_name = configuration.acceptsCommonName
        record.pointee.pins = UnsafePointer(pins.baseAddress)
        record.pointee.pin_count = configuration.pins.count
        record.pointee.asks = configuration.customVerification != nil
        record.pointee.requires_staple = configuration.requiresOCSPStaple
        record.pointee.resumes = configuration.isResuming
        record.pointee.key_log = keyLog ?? -1
        record.pointee.psk_identity = keyIdentity.map { UnsafePointer($0) }
        // The configuration owns the secret's memory, and lives as long as this object.
        configuration.preSharedKey?.key.withBytes { [record] in
            record.pointee.psk = $0.bindMemory(to: UInt8.self).baseAddress
            record.pointee.psk_length = $0.count
        }
        do throws(MQTTError) {
            settings = try TLSSettings.settings(of: configuration, for: record)
        } catch {
            Self.release(record, pins, keyIdentity)
            throw error
        }
    }

    /// The `SSL_CTX`.
    var pointer: OpaquePointer { settings.pointer }

    deinit {
        forgetSessions()
        free(serverName)
        free(checkedName)
        Self.release(record, pins, keyIdentity)
    }

    private static func release(
        _ record: UnsafeMutablePointer<cmq_tls>, _ pins: UnsafeMutableBufferPointer<UInt8>,
        _ keyIdentity: UnsafeMutablePointer<CChar>?
    ) {
        cmq_tls_free(record)
        if record.pointee.key_log >= 0 { close(record.pointee.key_log) }
        record.deallocate()
        pins.deallocate()
        free(keyIdentity)
    }

    // MARK: Attempts

    /// Returns a context that is ready for a connection: `known`, if there is one. Asks the providers, and reads
    /// changed files, before the context is locked. From then on connections use the renewed certificate or the
    /// corrected trust.
    static func prepare(
        _ known: TLSContext?, _ configuration: MQTTTLSConfiguration, for endpoint: MQTTEndpoint, turn: Int
    ) async throws(MQTTError) -> TLSContext {
        let material = try await TLSMaterial(configuration)
        let context: TLSContext = if let known { known } else { try TLSContext(configuration) }
        do throws(MQTTError) {
            try await context.prepare(for: endpoint, material, turn: turn)
        } catch {
            // The passphrase is requested only if the key is encrypted.
            guard context.turn.withLock({ _ in context.lacksPassphrase }),
                let passphrase = try await material.askForPassphrase()
            else { throw error }
            try await context.prepare(for: endpoint, material, passphrase: passphrase, turn: turn)
        }
        return context
    }

    /// Must not be called during a handshake.
    func prepare(
        for endpoint: MQTTEndpoint, _ material: TLSMaterial, passphrase: MQTTSecret? = nil, turn number: Int
    ) async throws(MQTTError) {
        while true {
            let basis = turn.withLock { _ in
                lacksPassphrase = false
                return (number: loads, material: self.material)
            }
            let change: Change
            do throws(MQTTError) {
                change = try await Change(to: material, from: basis.material)
            } catch {
                forgetMaterial(turn: number)
                throw error
            }
            if try prepare(for: endpoint, material, change, passphrase, turn: number, basis: basis.number) { return }
        }
    }

    /// The content of changed files and sources; `nil` where nothing has changed.
    private struct Change: Sendable {
        var trust: TrustStore?
        var identity: TLSIdentityLoader.Content?

        init(to new: TLSMaterial, from old: TLSMaterial?) async throws(MQTTError) {
            if old.map({ !new.hasSameTrust(as: $0) }) ?? true { trust = try await TrustStore.store(for: new) }
            if let source = new.identity, old.map({ !new.hasSameIdentity(as: $0) }) ?? true {
                identity = try await TLSIdentityLoader.Content(reading: source)
            }
        }
    }

    /// Discards the material after a failure, even if the files are unchanged.
    private func forgetMaterial(turn number: Int) {
        turn.withLock { last in
            guard number >= last else { return }
            last = number
            loads += 1
            material = nil
        }
    }

    /// Returns true if the change applies to the loaded material: another attempt may have changed it meanwhile.
    private func prepare(
        for endpoint: MQTTEndpoint, _ material: TLSMaterial, _ change: Change, _ passphrase: MQTTSecret?,
        turn number: Int, basis: Int
    ) throws(MQTTError) -> Bool {
        // OpenSSL leaves the errors of failed trials in the thread's queue, which the next user of the thread would
        // find.
        defer { ERR_clear_error() }
        let result: Result<Bool, MQTTError> = turn.withLock { last in
            guard number >= last else { return .failure(MQTTError(.cancelled, "a later attempt has taken its place")) }
            last = number
            guard basis == loads else { return .success(false) }
            loads += 1
            do throws(MQTTError) {
                if endpoint != self.endpoint { try setEndpoint(endpoint) }
                try load(material, change, passphrase)
                return .success(true)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func setEndpoint(_ endpoint: MQTTEndpoint) throws(MQTTError) {
        keepSession()
        // Reset until everything is set: after a failure the context verifies no name, and must not be taken for one
        // that does.
        self.endpoint = nil
        let name = (configuration.serverName ?? endpoint.host).withoutRootDot
        let isAddress = HostAddresses.numeric(name) != nil
        free(serverName)
        serverName =
            switch configuration.serverNameIndication {
            // RFC 6066, section 3: a literal address is not a server name.
            case .automatic: isAddress ? nil : strdup(name)
            case .none: nil
            case .name(let indicated): strdup(indicated.withoutRootDot)
            }
        record.pointee.server_name = UnsafePointer(serverName)
        // A certificate cannot name the scope of an address, which is local to this machine.
        verifiedName = isAddress ? String(name.prefix { $0 != "%" }) : name
        free(checkedName)
        checkedName = configuration.verification == .full ? strdup(verifiedName) : nil
        record.pointee.verified_name = UnsafePointer(checkedName)
        record.pointee.verifies_address = isAddress
        // OpenSSL takes a leading dot for a pattern.
        if let checkedName, name.hasPrefix(".") || cmq_is_verifiable(checkedName, isAddress) != 1 {
            throw Self.failure("\(quoted(name)) cannot be the name in a certificate")
        }
        self.endpoint = endpoint
        let kept = sessions.removeValue(forKey: endpoint)
        record.pointee.session = kept?.session
        origin = kept?.origin
    }

    private func load(_ new: TLSMaterial, _ change: Change, _ passphrase: MQTTSecret?) throws(MQTTError) {
        // Reset until everything is in use.
        material = nil
        if let store = change.trust {
            record.pointee.trust = store.pointer
            trust = store
        }
        if let identity = change.identity {
            var loader = TLSIdentityLoader(record: record, context: pointer, passphrase: passphrase)
            defer { lacksPassphrase = loader.lacksPassphrase }
            try loader.use(identity)
        }
        material = new
        // A resumed session is not verified again, and relies on the earlier certificates.
        if change.trust != nil || change.identity != nil { forgetSessions() }
    }

    // MARK: Sessions

    private func keepSession() {
        defer { origin = nil }
        guard let session = record.pointee.session, let endpoint, let origin else {
            return cmq_tls_forget_session(record)
        }
        // A cluster has few brokers; a client that is redirected again and again must not keep a session for each
        // target.
        if sessions.count >= 16, let oldest = sessions.popFirst() { SSL_SESSION_free(oldest.value.session) }
        sessions[endpoint] = (session, origin)
        record.pointee.session = nil
    }

    /// The next handshake with each endpoint is a full one, with all checks.
    func forgetSessions() {
        cmq_tls_forget_session(record)
        for kept in sessions.values { SSL_SESSION_free(kept.session) }
        sessions = [:]
    }

    // MARK: Errors

    /// Creates an error with OpenSSL's reason, if there is one.
    static func failure(_ message: String, firstReason: Bool = false) -> MQTTError {
        var reason = [CChar](repeating: 0, count: 160)
        cmq_error_reason(&reason, reason.count, firstReason)
        let text = String(cArray: reason)
        var error = MQTTError(.tlsConfiguration, "TLS: " + message + (text.isEmpty ? "" : ": " + text))
        error.tls = MQTTTLSFailure(.configuration, reason: text.isEmpty ? nil : text)
        return error
    }
}

extension String {
    /// The text of a NUL-terminated C array.
    init(cArray: some Sequence<CChar>) {
        self.init(decoding: cArray.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
