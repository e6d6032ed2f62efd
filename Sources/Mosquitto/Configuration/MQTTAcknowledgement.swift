/// When the broker is told that a message of QoS 1 or 2 has arrived (MQTT 5.0, sections 4.3 and 4.4).
public enum MQTTAcknowledgement: Sendable, Hashable {
    /// When it has reached the buffers of its consumers. What is in a buffer when the process ends is lost. It is the fastest. In a
    /// ``MQTTSession/persistent(expiry:)`` session a message without a consumer is not acknowledged.
    case onReceipt
    /// When each consumer of it has asked for its next message, or has come to the end of its scope without an error: so a message
    /// reaches the application at least once, even if the process ends in the middle of it. For that the session has to be
    /// ``MQTTSession/persistent(expiry:)``.
    ///
    /// The message at which a consumer's scope ends by an error is not acknowledged, and comes again with the next connection. After
    /// ten such messages the client reconnects for that, gracefully. What a consumer was not given is for the next one of its filter, or comes
    /// again too. In a ``MQTTSession/clean`` session nothing comes again, which a warning at the start says. Acknowledgements go out in the order of the messages, so a slow consumer holds those of others back, and with
    /// ``MQTTClientConfiguration/receiveMaximum`` messages waiting, the broker sends no more.
    case afterHandling
}
