/// When the broker is told that a message of QoS 1 or 2 has arrived (MQTT 5.0, sections 4.3 and 4.4).
public enum MQTTAcknowledgement: Sendable, Hashable {
    /// When the client has received it. What is in a buffer when the process ends is lost. It is the fastest.
    case onReceipt
    /// When each consumer of it has asked for its next message, or has come to the end of its scope without an error: so a message
    /// reaches the application at least once, even if the process ends in the middle of it. For that the session has to be
    /// ``MQTTSession/persistent(expiry:)``.
    ///
    /// What a consumer leaves behind, since its scope ends early or by an error, is not acknowledged, and comes again with the next
    /// connection. Acknowledgements go out in the order of the messages, so a slow consumer holds those of others back, and with
    /// ``MQTTClientConfiguration/receiveMaximum`` messages waiting, the broker sends no more.
    case afterHandling
}
