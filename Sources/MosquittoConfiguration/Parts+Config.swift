// SPDX-License-Identifier: Apache-2.0

import Mosquitto

extension MQTTProxy {
    /// Returns `nil` without a host.
    static func configured(by keys: KeyReader) throws(MQTTError) -> MQTTProxy? {
        let kind = try keys.choice("kind", ["socks5": MQTTProxy.Kind.socks5, "http": .http, "https": .https])
        let host = try keys.string("host")
        let port = try keys.int("port")
        let username = try keys.string("username")
        let password = try keys.secret("password")
        guard let host else {
            if kind != nil || port != nil || username != nil || password != nil {
                throw keys.error("host", "is missing; the other keys of the proxy need it")
            }
            return nil
        }
        guard let kind, kind != .socks5 else {
            return MQTTProxy(host: host, port: port ?? 1_080, username: username, password: password)
        }
        guard let port else { throw keys.error("port", "is missing; an HTTP proxy has no usual port") }
        if kind == .http { return .http(host: host, port: port, username: username, password: password) }
        guard let tls = try MQTTTLSConfiguration.configured(by: keys.scoped(to: "tls")) else {
            throw keys.error("tls.enabled", "is false; give the kind \"http\" for a proxy without TLS")
        }
        return .https(host: host, port: port, tls: tls, username: username, password: password)
    }
}

extension MQTTWill {
    /// Returns `nil` without a topic.
    static func configured(by keys: KeyReader) throws(MQTTError) -> MQTTWill? {
        let topic = try keys.string("topic")
        let payload = try keys.string("payload")
        let qos = try keys.int("qos")
        let retain = try keys.bool("retain")
        let delay = try keys.number("delayInterval", as: UInt32.self)
        guard let topic else {
            if payload != nil || qos != nil || retain != nil || delay != nil {
                throw keys.error("topic", "is missing; the other keys of the will need it")
            }
            return nil
        }
        var will = MQTTWill(topic: MQTTTopic(topic), payload: payload ?? "")
        if let qos {
            guard let raw = UInt8(exactly: qos), let value = MQTTQoS(rawValue: raw) else {
                throw keys.error("qos", "is \(qos); it must be 0, 1 or 2")
            }
            will.qos = value
        }
        if let retain { will.retain = retain }
        if let delay { will.delayInterval = delay }
        return will
    }
}

extension MQTTQueuePolicy {
    mutating func read(_ keys: KeyReader) throws(MQTTError) {
        if let value = try keys.int("maximumMessages") { maximumMessages = value }
        if let value = try keys.int("maximumBytes") { maximumBytes = value }
        if let value = try keys.choice(
            "whenFull", ["suspend": WhenFull.suspend, "refuse": .refuse, "dropOldestQoS0": .dropOldestQoS0])
        {
            whenFull = value
        }
        if let value = try keys.bool("offlineQos0") { queuesQoS0Offline = value }
    }
}

extension MQTTRetryPolicy {
    mutating func read(_ keys: KeyReader) throws(MQTTError) {
        if let policy = try keys.choice(
            "policy", ["production": MQTTRetryPolicy.production, "failFast": .failFast, "none": MQTTRetryPolicy.none])
        {
            self = policy
        }
        if let value = try keys.seconds("baseDelay") { baseDelay = value }
        if let value = try keys.seconds("maximumDelay") { maximumDelay = value }
        if let value = try keys.seconds("minimumDelay") { minimumDelay = value }
        if let value = try keys.seconds("minimumAuthenticationDelay") { minimumAuthenticationDelay = value }
        if let value = try keys.seconds("resetAfter") { resetAfter = value }
        let attempts = try keys.int("maximumAttempts")
        let elapsed = try keys.seconds("maximumElapsed")
        if attempts != nil, elapsed != nil {
            throw keys.error("maximumAttempts", "goes without \(keys.name("maximumElapsed"))")
        }
        if let attempts { limit = .attempts(attempts) }
        if let elapsed { limit = .elapsed(elapsed) }
    }
}

extension MQTTTimeouts {
    mutating func read(_ keys: KeyReader) throws(MQTTError) {
        if let value = try keys.seconds("credentials") { credentials = value }
        if let value = try keys.seconds("resolve") { resolve = value }
        if let value = try keys.seconds("connect") { connect = value }
        if let value = try keys.seconds("tlsHandshake") { tlsHandshake = value }
        if let value = try keys.seconds("upgrade") { upgrade = value }
        if let value = try keys.seconds("connack") { connack = value }
        if let value = try keys.seconds("attempt") { attempt = value }
        if let value = try keys.seconds("drain") { drain = value }
        if let value = try keys.seconds("close") { close = value }
    }
}
