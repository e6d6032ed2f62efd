// SPDX-License-Identifier: Apache-2.0

// Tests against a broker in the process, which refuses the first connection.

#if canImport(Testing)
import Mosquitto
import MosquittoTesting
import Testing

func refused() async throws {
    // snippet.refused
    let authority = try TestCertificateAuthority()
    let broker = try await ScriptedBroker.start(
        tls: authority.serverIdentity(), script: [.refuse(code: 0x88, close: true), .serve])
    var configuration = MQTTClientConfiguration(
        host: "localhost", port: broker.port, tls: .init(trust: .pem(authority.certificatePEM)))
    configuration.retry.baseDelay = .milliseconds(10)
    configuration.retry.minimumDelay = .milliseconds(1)
    try await withMQTTClient(configuration) { client in
        try await client.publish("hello", to: "greeting")
        #expect(broker.connects.count == 2)
    }
    await broker.stop()
    // snippet.end
}

func expired() async throws {
    // snippet.expired
    let issuer = TestTokenIssuer()
    let broker = try await ScriptedBroker.start(script: [.refuse(code: 0x87, close: true), .serve])
    var configuration = MQTTClientConfiguration(host: "127.0.0.1", port: broker.port, tls: nil)
    configuration.credentials = .closure { attempt in
        // The cached token has expired; a refusal asks for another one.
        let isFresh = attempt.purpose == .rejected
        let token = issuer.token(subject: "kitchen", lifetime: .seconds(isFresh ? 60 : -60))
        return MQTTCredentials(username: "kitchen", password: MQTTSecret(token))
    }
    try await withMQTTClient(configuration) { client in
        try await client.publish("hello", to: "greeting")
        let tokens = broker.connects.compactMap(\.password).map { issuer.validate($0) != nil }
        #expect(tokens == [false, true])
    }
    await broker.stop()
    // snippet.end
}

func restarted() async throws {
    // snippet.restarted
    let broker = try await LocalMosquitto.start()
    let configuration = MQTTClientConfiguration(host: "127.0.0.1", port: broker.port, tls: nil)
    try await withMQTTClient(configuration) { client in
        try await client.publish("before", to: "greeting")
        broker.kill()
        #expect(await eventually { client.state.isConnected == false })
        try await broker.restart()
        try await client.publish("after", to: "greeting")
    }
    await broker.terminate()
    // snippet.end
}

func emulated() async throws {
    let authority = try TestCertificateAuthority()
    // snippet.platform
    let broker = try await ScriptedBroker.start(
        tls: authority.serverIdentity(), platform: .hiveMQCloud(username: "kitchen", password: "secret"))
    // snippet.end
    await broker.stop()
}

func resetAndRefused() async throws {
    // snippet.script
    let authority = try TestCertificateAuthority()
    let broker = try await ScriptedBroker.start(
        tls: authority.serverIdentity(),
        script: [.resetMidHandshake, .refuse(code: 0x88, close: true), .serve]
    )
    // ... connect a client to 127.0.0.1:broker.port ...
    #expect(await broker.waitUntil { $0.connects.count == 2 })
    await broker.stop()
    // snippet.end
}

func freshToken() async throws {
    // snippet.freshToken
    let broker = try await ScriptedBroker.start(script: [.refuse(code: 0x87, close: true), .serve])
    var configuration = MQTTClientConfiguration(host: "127.0.0.1", port: broker.port, tls: nil)
    configuration.credentials = .closure { attempt in
        MQTTCredentials(username: "kitchen", password: attempt.purpose == .rejected ? "fresh" : "expired")
    }
    try await withMQTTClient(configuration) { client in
        try await client.publish("21.5", to: "kitchen/temperature")
    }
    #expect(broker.connects.map(\.password) == ["expired", "fresh"])
    #expect(broker.publishes.map(\.text) == ["21.5"])
    await broker.stop()
    // snippet.end
}

func throughProxy(_ configuration: inout MQTTClientConfiguration) async throws {
    // snippet.proxy
    let proxy = try await ScriptedHTTPProxy.start(script: [.answer(status: 502), .connect])
    configuration.connection.proxy = .http(host: "127.0.0.1", port: proxy.port)
    // snippet.end
    await proxy.stop()
}
#endif
