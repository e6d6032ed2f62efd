// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim
import Logging

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A temporary `struct mosquitto`, and the client's end of its connection. Confined to the loop's thread.
///
/// libmosquitto connects to a ``LocalListener``: no version of it needs to know the broker's socket or TLS. The `struct
/// mosquitto` is destroyed with this object.
final class LibraryLoan {
    private let pointer: OpaquePointer
    private let configuration: MQTTClientConfiguration
    private let box: Unmanaged<Box>
    private var end: StreamSocket?
    /// The password of CONNECT, of which libmosquitto knows the length alone.
    private var password: MQTTSecret?

    /// The callbacks' storage. Released after `mosquitto_destroy`, the last call that can reach a callback.
    private final class Box {
        /// The reason code of the CONNACK.
        var code: UInt8?
        /// Receives libmosquitto's log lines.
        var logger: Logger?
    }

    private static let success = Int32(MOSQ_ERR_SUCCESS.rawValue)

    /// Throws if memory or descriptors run out, or if the library refuses an option.
    init(_ configuration: MQTTClientConfiguration) throws(MQTTError) {
        MosquittoLibrary.initialize
        let box = Unmanaged.passRetained(Box())
        let clientID = configuration.drawingClientID().effectiveClientID
        guard let pointer = cmq_new(clientID, configuration.session == .clean, box.toOpaque()) else {
            let code = errno
            box.release()
            throw .system(code, "libmosquitto could not be set up")
        }
        self.pointer = pointer
        self.box = box
        self.configuration = configuration
        // With threads "in use", the library only queues packets, and a loop_write sends them.
        mosquitto_threaded_set(pointer, true)
        try check(
            mosquitto_int_option(pointer, MOSQ_OPT_PROTOCOL_VERSION, configuration.version.libraryNumber),
            "the protocol version")
        setConnectCallback()
    }

    deinit {
        mosquitto_destroy(pointer)
        end?.close()
        box.release()
    }

    // MARK: CONNECT

    func setCredentials(_ credentials: MQTTCredentials) throws(MQTTError) {
        // MQTT 3.1.1, section 3.1.2.9: a password needs a user name, which may be empty.
        let needsUsername = configuration.version != .v5_0 && credentials.password != nil
        let username = credentials.username ?? (needsUsername ? "" : nil)
        // The library copies what it is given, and frees the copies without overwriting them.
        password = credentials.password
        try check(
            mosquitto_username_pw_set(pointer, username, password.map(Self.placeholder)), "user name and password")
    }

    /// Text of the password's length.
    private static func placeholder(_ password: MQTTSecret) -> String { String(repeating: "x", count: password.count) }

    /// Writes the password in place of the library's. CONNECT ends with it (MQTT 5.0, section 3.1.3.6).
    private func writePassword(to packet: inout [UInt8]) throws(MQTTError) {
        guard let password else { return }
        let length = [UInt8(password.count >> 8), UInt8(password.count & 0xFF)]
        guard packet.suffix(password.count + 2).elementsEqual(length + Self.placeholder(password).utf8) else {
            throw MQTTError(.library, "libmosquitto did not end CONNECT with the password")
        }
        packet.withUnsafeMutableBytes { bytes in
            password.withBytes { UnsafeMutableRawBufferPointer(rebasing: bytes.suffix($0.count)).copyMemory(from: $0) }
        }
    }

    func setWill(_ will: MQTTWill) throws(MQTTError) {
        let properties = LibraryProperties()
        if configuration.version == .v5_0 {
            try properties.add(will.properties)
            if will.delayInterval > 0 { try properties.add(0x18, int32: will.delayInterval) }
        }
        let rc = mosquitto_will_set_v5(
            pointer, will.topic.name, Int32(will.payload.count), will.payload, Int32(will.qos.rawValue), will.retain,
            properties.pointer)
        // On success the library owns the list.
        if rc == Self.success { properties.release() }
        try check(rc, "the will")
    }

    /// Makes the library connect to the listener, which queues CONNECT.
    func connect(through loop: EventLoopCore, _ properties: LibraryProperties) throws(MQTTError) {
        var listener = try Self.calling { () throws(SystemCallError) in try loop.localListener() }
        var rc = connect(to: listener, properties)
        if rc == Int32(MOSQ_ERR_ERRNO.rawValue) {
            listener = try Self.calling { () throws(SystemCallError) in try loop.replaceLocalListener() }
            rc = connect(to: listener, properties)
        }
        try check(rc, "CONNECT")
        let accepted = try Self.calling { () throws(SystemCallError) in
            try listener.accept(mosquitto_socket(pointer))
        }
        end = StreamSocket(descriptor: accepted)
    }

    private static func calling<Value>(_ body: () throws(SystemCallError) -> Value) throws(MQTTError) -> Value {
        do throws(SystemCallError) {
            return try body()
        } catch {
            throw .system(error.code, "libmosquitto could not be connected to")
        }
    }

    private func connect(to listener: LocalListener, _ properties: LibraryProperties) -> Int32 {
        let keepAlive = Int32(configuration.keepAlive.components.seconds)
        return mosquitto_connect_bind_v5(
            pointer, listener.host, listener.port, keepAlive, nil, properties.pointer)
    }

    /// Makes the library write CONNECT, and returns the packet.
    func writtenPacket() throws(MQTTError) -> [UInt8] {
        var packet: [UInt8] = []
        while true {
            let rc = mosquitto_loop_write(pointer, 1)
            let count = end?.inputCount ?? 0
            packet += receive(count)
            try check(rc, "CONNECT")
            if count == 0 || !mosquitto_want_write(pointer) { break }
        }
        guard packet.first == 0x10 else { throw MQTTError(.library, "libmosquitto did not write CONNECT") }
        try writePassword(to: &packet)
        return packet
    }

    private func receive(_ count: Int) -> [UInt8] {
        guard let end, count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            if case .bytes(let received) = end.receive(into: UnsafeMutableRawBufferPointer(buffer)) {
                initialized = received
            }
        }
    }

    // MARK: CONNACK

    /// Makes the library read a CONNACK. Returns the reason code that it reports.
    ///
    /// An error of `loop_read` after the callback is not a failure: 2.0 and 2.1 report each MQTT 5.0 refusal as a
    /// protocol error.
    func verdict(on packet: [UInt8]) throws(MQTTError) -> UInt8 {
        var rest = packet[...]
        var fruitless = 0
        while fruitless < 3, let end, mosquitto_socket(pointer) >= 0 {
            if case .bytes(let count) = rest.withUnsafeBytes({ end.send($0) }), count > 0 {
                rest = rest.dropFirst(count)
                fruitless = 0
            } else {
                fruitless += 1
            }
            let rc = mosquitto_loop_read(pointer, 1)
            if let code = box.takeUnretainedValue().code { return code }
            if rc != Self.success { throw broken(rc) }
        }
        throw MQTTError(.library, "libmosquitto does not read CONNACK", phase: .connack)
    }

    private func broken(_ rc: Int32) -> MQTTError {
        switch rc {
        case Int32(MOSQ_ERR_PROTOCOL.rawValue), Int32(MOSQ_ERR_MALFORMED_PACKET.rawValue),
            Int32(MOSQ_ERR_MALFORMED_UTF8.rawValue), Int32(MOSQ_ERR_DUPLICATE_PROPERTY.rawValue):
            var error = MQTTError(.protocolViolation, "the broker broke the protocol", phase: .connack)
            error.libraryCode = rc
            return error
        default: return libraryError(rc, "CONNACK")
        }
    }

    // MARK: Errors

    private func check(_ rc: Int32, _ what: String) throws(MQTTError) {
        if rc != Self.success { throw libraryError(rc, what) }
    }

    private func libraryError(_ rc: Int32, _ what: String) -> MQTTError {
        var error = MQTTError(.library, "\(what): \(String(cString: mosquitto_strerror(rc)))")
        error.libraryCode = rc
        return error
    }

    // MARK: Callbacks

    // C calls the callbacks on the loop's thread, from within a call of this class. They are formed here, in a
    // nonisolated context: one formed on the main actor would trap on the loop's thread.
    private func setConnectCallback() {
        mosquitto_connect_v5_callback_set(pointer) { _, context, code, _, _ in
            guard let context else { return }
            Unmanaged<Box>.fromOpaque(context).takeUnretainedValue().code = UInt8(truncatingIfNeeded: code)
        }
    }

    /// Forwards the library's log lines. With a callback the library formats every line, so it is set only if the
    /// logger keeps them.
    func log(to logger: Logger) {
        guard logger.logLevel <= .trace else { return }
        box.takeUnretainedValue().logger = logger
        mosquitto_log_callback_set(pointer) { _, context, _, text in
            guard let context, let text else { return }
            let line = String(cString: text)
            Unmanaged<Box>.fromOpaque(context).takeUnretainedValue().logger?.trace("\(line)")
        }
    }
}

extension MQTTVersion {
    fileprivate var libraryNumber: Int32 {
        switch self {
        case .v3_1: MQTT_PROTOCOL_V31
        case .v3_1_1: MQTT_PROTOCOL_V311
        case .v5_0: MQTT_PROTOCOL_V5
        }
    }
}
