import ArgumentParser

/// What is measured.
enum Work: String, CaseIterable, ExpressibleByArgument {
    /// Queued without waiting; until one last message of QoS 1 is acknowledged.
    case publishQoS0 = "publish-qos0"
    /// From many tasks, each of which waits for its publish.
    case publishQoS0Awaited = "publish-qos0-awaited"
    /// Queued without waiting, a window of them in flight; until the last PUBACK.
    case publishQoS1 = "publish-qos1"
    /// From as many tasks as the window is wide, each of which waits for its PUBACK.
    case publishQoS1Awaited = "publish-qos1-awaited"
    /// From the first message to the last.
    case receiveQoS0 = "receive-qos0"
    case receiveQoS1 = "receive-qos1"
    /// One at a time, from the call to the PUBACK.
    case latencyQoS1 = "latency-qos1"
    /// The same, in a task that runs on the client's event loop.
    case latencyQoS1OnLoop = "latency-qos1-on-loop"
}
