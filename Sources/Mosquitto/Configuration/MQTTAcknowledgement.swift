// SPDX-License-Identifier: Apache-2.0

/// The point at which a received message of QoS 1 or 2 is acknowledged (MQTT 5.0, sections 4.3 and 4.4).
public enum MQTTAcknowledgement: Sendable, Hashable {
    /// Acknowledge a message when it has reached the buffers of its consumers. This is the fastest option; messages in
    /// a buffer are lost if the process ends. In a ``MQTTSession/persistent(expiry:)`` session a message without a
    /// consumer is not acknowledged.
    case onReceipt
    /// Acknowledge a message when each of its consumers has asked for its next message, or has reached the end of its
    /// scope without an error. A message then reaches the application at least once, even if the process ends while
    /// handling it. This requires a ``MQTTSession/persistent(expiry:)`` session.
    ///
    /// If a consumer's scope ends with an error, its last message is not acknowledged, and is redelivered on the next
    /// connection. After ten such messages the client reconnects gracefully to have them redelivered. Messages that the
    /// consumer had not received yet go to the next consumer of the filter, or are redelivered too. In a
    /// ``MQTTSession/clean`` session nothing is redelivered; the client logs a warning at the start.
    ///
    /// Acknowledgements are sent in the order of the messages: a slow consumer delays those of other consumers, and
    /// with ``MQTTReceivingLimits/receiveMaximum`` unacknowledged messages the broker sends no more.
    case afterHandling
}
