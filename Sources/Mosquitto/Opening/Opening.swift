// SPDX-License-Identifier: Apache-2.0

import Logging

/// Opens a session with libmosquitto, which composes CONNECT and judges CONNACK; Swift carries it. Confined to the
/// loop's thread.
///
/// Each of the two calls creates a `struct mosquitto` and destroys it before it returns: no descriptor outlives the
/// call. libmosquitto composes CONNECT around a placeholder of the password's length, and never has the password.
/// ``PacketDecoder`` and ``PacketEncoder`` handle all other packets.
///
/// A class, since a client has one only while it connects: a value would take its place in each idle client.
final class Opening {
    let configuration: MQTTClientConfiguration
    let credentials: MQTTCredentials
    /// The method and the data of enhanced authentication (MQTT 5.0, section 4.12).
    let authentication: (method: String, data: [UInt8]?)?
    let loop: EventLoopCore
    /// Receives libmosquitto's log lines if its level is trace.
    let logger: Logger?

    init(
        configuration: MQTTClientConfiguration, credentials: MQTTCredentials,
        authentication: (method: String, data: [UInt8]?)?, loop: EventLoopCore, logger: Logger? = nil
    ) {
        self.configuration = configuration
        self.credentials = credentials
        self.authentication = authentication
        self.loop = loop
        self.logger = logger
    }

    /// Returns the CONNECT, which contains the password: the caller must overwrite it.
    ///
    /// Throws if memory or descriptors run out, or if libmosquitto refuses a value.
    func connectPacket() throws(MQTTError) -> [UInt8] {
        let loan = try LibraryLoan(configuration)
        if let logger { loan.log(to: logger) }
        try loan.setCredentials(credentials)
        if let will = configuration.will { try loan.setWill(will) }
        try loan.connect(through: loop, try properties())
        return try loan.writtenPacket()
    }

    /// Makes libmosquitto judge a CONNACK. Fails for a refusal, with its reason code, and for a packet that
    /// libmosquitto rejects.
    func judge(_ connack: Connack) -> Result<Connack, MQTTError> {
        // The format differs from that of the CONNECT: only the code can be read.
        if connack.isOfOldVersion { return .failure(connack.refusal(connack.code, configuration.version)) }
        do throws(MQTTError) {
            let loan = try LibraryLoan(configuration)
            try loan.connect(through: loop, LibraryProperties())
            if let logger { loan.log(to: logger) }
            let code = try loan.verdict(on: connack.packet)
            return code == 0 ? .success(connack) : .failure(connack.refusal(code, configuration.version))
        } catch {
            return .failure(error)
        }
    }

    /// Returns the properties of CONNECT (MQTT 5.0, section 3.1.2.11).
    private func properties() throws(MQTTError) -> LibraryProperties {
        let properties = LibraryProperties()
        guard configuration.version == .v5_0 else { return properties }
        var expiry = configuration.connect.cleanSessionExpiry
        if case .persistent(let kept) = configuration.session { expiry = kept }
        if expiry > .zero { try properties.add(0x11, int32: UInt32(clamping: expiry.components.seconds)) }
        try properties.add(0x21, int16: configuration.receiving.receiveMaximum)
        if configuration.receiving.maximumPacketSize < 268_435_460 {
            try properties.add(0x27, int32: UInt32(configuration.receiving.maximumPacketSize))
        }
        if configuration.receiving.topicAliasMaximum > 0 {
            try properties.add(0x22, int16: configuration.receiving.topicAliasMaximum)
        }
        if configuration.connect.requestsResponseInformation { try properties.add(0x19, byte: 1) }
        if !configuration.connect.requestsProblemInformation { try properties.add(0x17, byte: 0) }
        try properties.add(configuration.connect.userProperties)
        try properties.add(0x15, string: authentication?.method)
        try properties.add(0x16, binary: authentication?.data)
        return properties
    }
}
