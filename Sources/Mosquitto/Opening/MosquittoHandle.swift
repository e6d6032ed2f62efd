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

/// Owns one `struct mosquitto`. Confined to the loop's thread, like everything in this folder but the resolver.
///
/// libmosquitto writes CONNECT and DISCONNECT, and reads the broker's answers to CONNECT and SUBSCRIBE; it never schedules
/// anything. Its callbacks only append to an array; whoever called into the library takes it when the call has returned, so nothing
/// is ever re-entered.
final class MosquittoHandle {
    private let pointer: OpaquePointer
    private let version: MQTTVersion
    private let clientID: String
    private let box: Unmanaged<EventBox>

    /// What the callbacks append to. It belongs to the handle and is released after `mosquitto_destroy`, the last call
    /// that can reach a callback.
    private final class EventBox {
        var events: [MosquittoEvent] = []
        /// Gets libmosquitto's own lines; `nil` if nobody wants them.
        var log: Logger?
    }

    /// A fresh handle. Throws if memory or descriptors ran out, or the library refuses an option.
    ///
    /// - Parameter logger: gets libmosquitto's own lines, one for each packet, if its level is trace.
    init(_ configuration: MQTTClientConfiguration, logger: Logger? = nil) throws(MQTTError) {
        MosquittoLibrary.initialize
        let cleanStart = configuration.session == .clean
        let box = Unmanaged.passRetained(EventBox())
        let clientID = configuration.drawingClientID().effectiveClientID
        guard let pointer = cmq_new(clientID, cleanStart, box.toOpaque()) else {
            let code = errno
            box.release()
            throw Self.systemError(code, "libmosquitto could not be set up")
        }
        self.pointer = pointer
        self.box = box
        version = configuration.version
        self.clientID = clientID
        // With threads "in use", what is to be sent is only queued, and one loop_write sends the batch.
        mosquitto_threaded_set(pointer, true)
        try check(
            mosquitto_int_option(
                pointer, MOSQ_OPT_PROTOCOL_VERSION,
                version == .v5_0 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311), "the protocol version")
        if let will = configuration.will { try setWill(will) }
        installCallbacks()
        if let logger, logger.logLevel <= .trace { log(to: logger) }
    }

    deinit {
        mosquitto_destroy(pointer)
        box.release()
    }

    /// Swaps what happened since the last call for an empty array, whose memory is used again.
    func takeEvents(_ events: inout [MosquittoEvent]) { swap(&events, &box.takeUnretainedValue().events) }

    /// Adds it to `events`.
    func moveEvents(to events: inout [MosquittoEvent]) {
        let box = box.takeUnretainedValue()
        if box.events.isEmpty { return }
        events += box.events
        box.events.removeAll(keepingCapacity: true)
    }

    // MARK: Connecting

    func setCredentials(_ credentials: MQTTCredentials) throws(MQTTError) {
        // MQTT 3.1.1, section 3.1.2.9: a password needs a user name, which may be empty.
        let username = credentials.username ?? (version == .v3_1_1 && credentials.password != nil ? "" : nil)
        // The library keeps a copy of its own, until it is given another one or destroyed.
        let rc =
            credentials.password?.withBytes {
                mosquitto_username_pw_set(pointer, username, $0.baseAddress?.assumingMemoryBound(to: CChar.self))
            } ?? mosquitto_username_pw_set(pointer, username, nil)
        try check(rc, "user name and password")
    }

    /// Begins a connection, closing an earlier one. Of a Unix socket, the address is the path and the port 0.
    func connect(
        address: String, port: Int, _ configuration: MQTTClientConfiguration,
        _ authentication: (method: String, data: [UInt8]?)?
    ) throws(MQTTError) {
        let keepAlive = Int32(configuration.keepAlive.components.seconds)
        if version == .v5_0 {
            var properties = PropertyList()
            defer { properties.free() }
            try Self.add(configuration, to: &properties)
            try properties.add(MQTT_PROP_AUTHENTICATION_METHOD, string: authentication?.method)
            try properties.add(MQTT_PROP_AUTHENTICATION_DATA, binary: authentication?.data)
            cmq_set_connect_properties(pointer, keepAlive, properties.pointer)
        }
        var code: Int32 = 0
        let rc = cmq_connect_async(pointer, address, Int32(port), keepAlive, configuration.localAddress, &code)
        guard rc == Int32(MOSQ_ERR_SUCCESS.rawValue) else {
            throw rc == Int32(MOSQ_ERR_ERRNO.rawValue)
                ? Self.connectError(code) : libraryError(rc, "connecting to \(address)", phase: .connect)
        }
    }

    private static func add(
        _ configuration: MQTTClientConfiguration, to properties: inout PropertyList
    ) throws(MQTTError) {
        var expiry = configuration.cleanSessionExpiry
        if case .persistent(let kept) = configuration.session { expiry = kept }
        if expiry > .zero {
            try properties.add(MQTT_PROP_SESSION_EXPIRY_INTERVAL, int32: UInt32(clamping: expiry.components.seconds))
        }
        try properties.add(MQTT_PROP_RECEIVE_MAXIMUM, int16: configuration.receiveMaximum)
        if configuration.maximumPacketSize < 268_435_460 {
            try properties.add(MQTT_PROP_MAXIMUM_PACKET_SIZE, int32: UInt32(configuration.maximumPacketSize))
        }
        if configuration.requestsResponseInformation {
            try properties.add(MQTT_PROP_REQUEST_RESPONSE_INFORMATION, byte: 1)
        }
        if !configuration.requestsProblemInformation {
            try properties.add(MQTT_PROP_REQUEST_PROBLEM_INFORMATION, byte: 0)
        }
        try properties.add(configuration.userProperties)
    }

    /// The error of a failed `connect(2)`.
    static func connectError(_ code: Int32) -> MQTTError {
        var error: MQTTError
        switch code {
        case ECONNREFUSED: error = MQTTError(.connectionRefused, "connection refused", phase: .connect)
        // Of a Unix socket: it is not there, or its queue is full.
        case ENOENT: error = MQTTError(.connectionRefused, "the socket does not exist", phase: .connect)
        case EAGAIN: error = MQTTError(.connectionRefused, "the socket takes no more connections", phase: .connect)
        case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN:
            error = MQTTError(.networkUnreachable, errorText(code).lowercased(), phase: .connect)
        case ETIMEDOUT: error = MQTTError(.timeout, "the connection timed out", phase: .connect)
        case ECONNRESET, EPIPE: error = MQTTError(.closed, "the connection was reset", phase: .connect)
        default: error = systemError(code, "the connection could not be made")
        }
        error.systemCode = code
        error.phase = .connect
        return error
    }

    static func systemError(_ code: Int32, _ what: String) -> MQTTError {
        var error = MQTTError(.system, "\(what): \(errorText(code).lowercased())", phase: .connect)
        error.systemCode = code
        return error
    }

    /// libmosquitto's own descriptor; negative when it has closed the connection.
    var socket: Int32 { mosquitto_socket(pointer) }

    var wantsWrite: Bool { mosquitto_want_write(pointer) }

    // MARK: Reading and writing

    func read() -> Int32 {
        guard socket >= 0 else { return Int32(MOSQ_ERR_NO_CONN.rawValue) }
        ERR_clear_error()
        return mosquitto_loop_read(pointer, 1)
    }

    /// Writes all that is queued.
    func write() -> Int32 {
        guard socket >= 0 else { return Int32(MOSQ_ERR_NO_CONN.rawValue) }
        ERR_clear_error()
        return mosquitto_loop_write(pointer, 1)
    }

    /// Queues a DISCONNECT; ``write()`` sends it and closes libmosquitto's side.
    func disconnect(_ disconnect: MQTTDisconnect) throws(MQTTError) {
        guard socket >= 0 else { return }
        var list = PropertyList()
        defer { list.free() }
        try list.add(MQTT_PROP_SESSION_EXPIRY_INTERVAL, int32: disconnect.sessionExpiry.map(seconds))
        try list.add(MQTT_PROP_REASON_STRING, string: disconnect.reasonString)
        try list.add(disconnect.userProperties)
        mosquitto_disconnect_v5(pointer, Int32(disconnect.reasonCode.rawValue), list.pointer)
    }

    private func seconds(_ duration: Duration) -> UInt32 { UInt32(clamping: duration.components.seconds) }

    private func setWill(_ will: MQTTWill) throws(MQTTError) {
        var list = PropertyList()
        defer { list.free() }
        if version == .v5_0 {
            try list.add(will.properties)
            if will.delayInterval > 0 { try list.add(MQTT_PROP_WILL_DELAY_INTERVAL, int32: will.delayInterval) }
        }
        let rc = mosquitto_will_set_v5(
            pointer, will.topic.name, Int32(will.payload.count), will.payload, Int32(will.qos.rawValue), will.retain,
            list.pointer)
        // On success the library owns the list.
        if rc == Int32(MOSQ_ERR_SUCCESS.rawValue) { list.release() }
        try check(rc, "the will")
    }

    // MARK: Errors

    private func check(_ rc: Int32, _ what: String) throws(MQTTError) {
        if rc != Int32(MOSQ_ERR_SUCCESS.rawValue) { throw libraryError(rc, what, phase: nil) }
    }

    func libraryError(_ rc: Int32, _ what: String, phase: MQTTError.Phase?) -> MQTTError {
        var error = MQTTError(.library, "\(what): \(String(cString: mosquitto_strerror(rc)))", phase: phase)
        error.libraryCode = rc
        return error
    }

    // MARK: Callbacks

    // C calls these on the loop's thread, from inside a call of this class. They are formed here, in a nonisolated context:
    // one formed on the main actor would trap on the loop's thread.
    private func installCallbacks() {
        mosquitto_connect_v5_callback_set(pointer) { _, context, code, flags, properties in
            MosquittoHandle.append(
                context,
                .connack(
                    code: UInt8(truncatingIfNeeded: code), sessionPresent: flags & 1 != 0,
                    properties: properties.map { MQTTConnackProperties(reading: $0) } ?? .init()))
        }
        mosquitto_subscribe_v5_callback_set(pointer) { _, context, packetID, count, granted, properties in
            let codes = UnsafeBufferPointer(start: granted, count: Int(count)).map { UInt8(truncatingIfNeeded: $0) }
            MosquittoHandle.append(
                context,
                .subscribed(
                    packetID: UInt16(truncatingIfNeeded: packetID), reasonCodes: codes,
                    explanation: Explanation(reading: properties)))
        }
    }

    /// Writes a line of our own among libmosquitto's; `nil` if nobody reads them.
    var log: ((String) -> Void)? {
        guard let logger = box.takeUnretainedValue().log else { return nil }
        return { [clientID] line in logger.trace("Client \(clientID) \(line)") }
    }

    /// With a callback the library writes every line, so there is none unless somebody reads them.
    private func log(to logger: Logger) {
        box.takeUnretainedValue().log = logger
        mosquitto_log_callback_set(pointer) { _, context, _, text in
            guard let context, let text else { return }
            let line = String(cString: text)
            Unmanaged<EventBox>.fromOpaque(context).takeUnretainedValue().log?.trace("\(line)")
        }
    }

    private static func append(_ context: UnsafeMutableRawPointer?, _ event: MosquittoEvent) {
        guard let context else { return }
        Unmanaged<EventBox>.fromOpaque(context).takeUnretainedValue().events.append(event)
    }
}
