// SPDX-License-Identifier: Apache-2.0

import Configuration
import Mosquitto
import MosquittoConfiguration
import Testing
import Turns

@Suite("A configuration is read from keys", .turn(.configuration))
struct ConfigurationKeysTests {
    private func configuration(_ values: [AbsoluteConfigKey: ConfigValue]) throws(MQTTError) -> MQTTClientConfiguration
    {
        try MQTTClientConfiguration(config: ConfigReader(provider: InMemoryProvider(values: values)))
    }

    private func environment(_ variables: [String: String]) throws(MQTTError) -> MQTTClientConfiguration {
        let config = ConfigReader(provider: EnvironmentVariablesProvider(environmentVariables: variables))
        return try MQTTClientConfiguration(config: config.scoped(to: "mqtt"))
    }

    private func list(_ texts: String...) -> ConfigValue { ConfigValue(.stringArray(texts), isSecret: false) }

    private func message(_ body: () throws -> MQTTClientConfiguration) -> String {
        let error = #expect(throws: MQTTError.self) { _ = try body() }
        #expect(error?.code == .invalidConfiguration)
        return error?.message ?? ""
    }

    @Test func `a host is enough, and the rest keeps its defaults`() throws {
        let configuration = try configuration(["host": "broker.example.com"])
        #expect(configuration.endpoints == [MQTTEndpoint(host: "broker.example.com", port: 8_883)])
        #expect(configuration.tls != nil && configuration.credentials == nil && configuration.will == nil)
        #expect(configuration.keepAlive == .seconds(60) && configuration.version == .v5_0)
        #expect(configuration.clientID == nil)
        #expect(configuration.metrics != nil && configuration.tracing != nil)
        try configuration.validate()
    }

    @Test func `a WebSocket comes from a URL, with its headers`() throws {
        let configuration = try environment([
            "MQTT_ENDPOINTS": "broker,wss://broker/x?signature=1", "MQTT_WEB_SOCKET_HEADERS": "X-Tenant=one,X-Key=a=b",
            "MQTT_WEB_SOCKET_ORIGIN": "https://example.com", "MQTT_TIMEOUTS_UPGRADE": "3",
        ])
        #expect(
            configuration.endpoints == [
                MQTTEndpoint(host: "broker", port: 8_883),
                .secureWebSocket(host: "broker", path: "/x", query: "signature=1"),
            ])
        #expect(
            configuration.webSocket.headers == [
                MQTTWebSocketHeader("X-Tenant", "one"), MQTTWebSocketHeader("X-Key", "a=b"),
            ])
        #expect(configuration.webSocket.origin == "https://example.com")
        #expect(configuration.timeouts.upgrade == .seconds(3))
        try configuration.validate()
        for (key, value) in [("endpoints", "wss://u:geheim@broker"), ("webSocket.headers", "geheim")] {
            let text = message {
                try self.configuration(["host": "a", AbsoluteConfigKey(stringLiteral: key): list(value)])
            }
            #expect(text.contains(key) && !text.contains("geheim"))
        }
    }

    @Test func `all that a client needs comes from the environment`() async throws {
        let configuration = try environment([
            "MQTT_HOST": "broker", "MQTT_PORT": "1884", "MQTT_TLS_ENABLED": "false", "MQTT_VERSION": "3.1.1",
            "MQTT_CLIENT_ID": "device-1", "MQTT_USERNAME": "me", "MQTT_PASSWORD": "secret",
            "MQTT_KEEP_ALIVE": "30", "MQTT_SESSION": "persistent", "MQTT_SESSION_EXPIRY": "3600",
            "MQTT_FIRST_CONNECTION_LIMIT": "2.5", "MQTT_ROTATION": "onNextConnect",
            "MQTT_REFRESH_CREDENTIALS_AT": "0", "MQTT_REFRESH_JITTER": "0.2",
            "MQTT_RECEIVE_MAXIMUM": "10", "MQTT_MAXIMUM_IN_FLIGHT": "20",
            "MQTT_MAXIMUM_FILTERS_PER_SUBSCRIBE": "3", "MQTT_QUEUE_MAXIMUM_MESSAGES": "30",
            "MQTT_QUEUE_MAXIMUM_BYTES": "4000", "MQTT_QUEUE_WHEN_FULL": "dropOldestQoS0",
            "MQTT_QUEUE_OFFLINE_QOS0": "false", "MQTT_ACKNOWLEDGEMENT": "afterHandling",

            "MQTT_TOPIC_ALIAS_MAXIMUM": "5",
            "MQTT_MAXIMUM_PACKET_SIZE": "4096", "MQTT_RESPONSE_TOPIC": "answers",
            "MQTT_WILL_TOPIC": "gone", "MQTT_WILL_PAYLOAD": "bye", "MQTT_WILL_QOS": "2", "MQTT_WILL_RETAIN": "true",
            "MQTT_RETRY_BASE_DELAY": "0.5", "MQTT_RETRY_MAXIMUM_ATTEMPTS": "4",
            "MQTT_TIMEOUTS_CONNECT": "3", "MQTT_TIMEOUTS_TLS_HANDSHAKE": "4",
            "MQTT_METRICS_INTERVAL": "2", "MQTT_METRICS_DIMENSIONS": "site=a,line=b=c",
            "MQTT_TRACING_ENABLED": "false",
        ])
        #expect(configuration.endpoints == [MQTTEndpoint(host: "broker", port: 1_884)])
        #expect(configuration.tls == nil && configuration.version == .v3_1_1)
        #expect(configuration.clientID == "device-1")
        let attempt = MQTTConnectAttempt(endpoint: configuration.endpoints[0])
        let credentials = try await configuration.credentials?.credentials(for: attempt)
        #expect(credentials == MQTTCredentials(username: "me", password: "secret"))
        #expect(configuration.keepAlive == .seconds(30))
        #expect(configuration.session == .persistent(expiry: .seconds(3_600)))
        #expect(configuration.connection.firstConnection == .waitUntilConnected(within: .seconds(2.5)))
        #expect(configuration.rotation.method == .onNextConnect)
        #expect(configuration.rotation.refreshAt == nil && configuration.rotation.jitter == 0.2)
        #expect(configuration.receiving.receiveMaximum == 10 && configuration.publishing.maximumInFlight == 20)
        #expect(configuration.receiving.maximumFiltersPerSubscribe == 3)
        #expect(configuration.receiving.maximumPacketSize == 4_096)
        #expect(configuration.receiving.topicAliasMaximum == 5)
        #expect(
            configuration.publishing.queue
                == MQTTQueuePolicy(
                    maximumMessages: 30, maximumBytes: 4_000, whenFull: .dropOldestQoS0, queuesQoS0Offline: false))
        #expect(configuration.acknowledgement == .afterHandling)
        #expect(configuration.connect.responseTopic == "answers")
        #expect(configuration.will == MQTTWill(topic: "gone", payload: "bye", qos: .exactlyOnce, retain: true))
        #expect(configuration.retry.baseDelay == .seconds(0.5) && configuration.retry.limit == .attempts(4))
        #expect(configuration.timeouts.connect == .seconds(3) && configuration.timeouts.tlsHandshake == .seconds(4))
        #expect(configuration.metrics?.interval == .seconds(2))
        #expect(configuration.metrics?.dimensions.map(\.0) == ["site", "line"])
        #expect(configuration.metrics?.dimensions.map(\.1) == ["a", "b=c"])
        #expect(configuration.tracing == nil)
        try configuration.validate()
    }

    @Test func `all of TLS comes from keys`() throws {
        let pin = "sha256/" + String(repeating: "A", count: 43) + "="
        let configuration = try configuration([
            "host": "broker", "tls.trustFiles": list("a.pem", "b.pem"), "tls.trustDirectories": list("c"),
            "tls.trustSystem": true, "tls.verification": "withoutHostName", "tls.serverName": "name",
            "tls.pins": list(pin), "tls.certificateFile": "cert.pem", "tls.keyFile": "key.pem",
            "tls.revocationFiles": list("crl.pem"), "tls.revocationScope": "chain", "tls.requiresOcspStaple": true,
            "tls.psk.identity": "name", "tls.psk.key": "00ff00ff00ff00ff00ff00ff00ff00ff",
            "tls.minimumVersion": "1.3",
            "tls.maximumVersion": "1.3", "tls.ciphers": "C", "tls.cipherSuites": "S", "tls.groups": "G",
            "tls.requiresPostQuantum": true,
            "tls.applicationProtocols": list("mqtt"), "tls.serverNameIndication": "sni",
            "tls.resumesSessions": false, "tls.maximumSessionAge": 60,
            "tls.reconnectsAtCertificateExpiry": false, "tls.acceptsCommonName": true, "tls.keyLogFile": "keys.log",
        ])
        let tls = try #require(configuration.tls)
        #expect(
            tls.trust.description
                == "file \"a.pem\" and file \"b.pem\" and directory \"c\" and the system's authorities")
        #expect(tls.verification == .withoutHostName && tls.serverName == "name")
        #expect(tls.pins.map(\.description) == [pin])
        #expect(tls.identity?.description == "client certificate \"cert.pem\"")
        #expect(tls.revocation?.lists == [.file("crl.pem")] && tls.revocation?.scope == .chain)
        #expect(tls.requiresOCSPStaple)
        #expect(tls.preSharedKey?.identity == "name" && tls.preSharedKey?.key.count == 16)
        #expect(tls.minimumVersion == .v1_3 && tls.maximumVersion == .v1_3)
        #expect(tls.ciphers == "C" && tls.cipherSuites == "S" && tls.groups == "G")
        #expect(tls.requiresPostQuantum)
        #expect(tls.applicationProtocols == ["mqtt"] && tls.serverNameIndication == .name("sni"))
        #expect(tls.maximumSessionAge == .seconds(60) && !tls.reconnectsAtCertificateExpiry && tls.acceptsCommonName)
        #expect(tls.resumesSessions == false && tls.keyLogFile == "keys.log")
    }

    @Test func `the way to the broker may be another`() throws {
        let configuration = try configuration([
            "host": "broker", "localAddress": "192.0.2.1", "retriesOnNetworkChange": true, "proxy.host": "proxy",
            "proxy.username": "me",
            "proxy.password": "secret", "cleanSessionExpiry": 60,
        ])
        #expect(
            configuration.connection.localAddress == "192.0.2.1" && configuration.connection.retriesOnNetworkChange
                && configuration.connect.cleanSessionExpiry == .seconds(60))
        let proxy = try #require(configuration.connection.proxy)
        #expect(proxy.host == "proxy" && proxy.port == 1_080 && proxy.username == "me")
        #expect(proxy.password == MQTTSecret("secret"))
        try configuration.validate()
        #expect(message { try self.configuration(["host": "b", "proxy.port": 1_081]) }.contains("\"proxy.host\""))
        let web = try self.configuration(["host": "b", "proxy.kind": "http", "proxy.host": "p", "proxy.port": 3_128])
        #expect(web.connection.proxy?.kind == .http && web.connection.proxy?.port == 3_128)
        #expect(
            message { try self.configuration(["host": "b", "proxy.kind": "http", "proxy.host": "p"]) }
                .contains("\"proxy.port\""))
        let secure = try self.configuration([
            "host": "b", "proxy.kind": "https", "proxy.host": "p", "proxy.port": 443,
            "proxy.tls.trustFiles": list("proxy.pem"), "tls.trustFiles": list("broker.pem"),
        ])
        #expect(secure.connection.proxy?.kind == .https)
        #expect(secure.connection.proxy?.tls.trust.description == "file \"proxy.pem\"")
        #expect(secure.tls?.trust.description == "file \"broker.pem\"")
        #expect(
            message {
                try self.configuration([
                    "host": "b", "proxy.kind": "https", "proxy.host": "p", "proxy.port": 443,
                    "proxy.tls.enabled": false,
                ])
            }.contains("\"proxy.tls.enabled\""))
    }

    @Test func `authorities of one's own are instead of the system's`() throws {
        #expect(try configuration(["host": "b"]).tls?.trust.description == "the system's authorities")
        let own = try configuration(["host": "b", "tls.trustFiles": list("ca.pem")])
        #expect(own.tls?.trust.description == "file \"ca.pem\"")
    }

    @Test func `a cluster is a list of endpoints`() throws {
        let configuration = try environment([
            "MQTT_ENDPOINTS": "one,two:1884,[::1]:1885,[fe80::1%eth0],unix:/run/mqtt.sock",
            "MQTT_TLS_ENABLED": "false", "MQTT_ENDPOINT_ORDER": "shuffled", "MQTT_REDIRECTS": "listed",
        ])
        #expect(
            configuration.endpoints == [
                MQTTEndpoint(host: "one", port: 1_883), MQTTEndpoint(host: "two", port: 1_884),
                MQTTEndpoint(host: "::1", port: 1_885), MQTTEndpoint(host: "fe80::1%eth0", port: 1_883),
                .unixSocket("/run/mqtt.sock"),
            ])
        #expect(configuration.connection.endpointOrder == .shuffled && configuration.connection.redirects == .listed)
        try configuration.validate()
        #expect(message { try environment(["MQTT_ENDPOINTS": "::1"]) }.contains("\"endpoints\""))
        #expect(message { try environment(["MQTT_ENDPOINTS": "a:b"]) }.contains("\"endpoints\""))
        #expect(
            message { try environment(["MQTT_ENDPOINTS": "a", "MQTT_HOST": "b"]) }.contains("goes without \"host\""))
    }

    @Test func `what only MQTT 5 has, and a token file`() throws {
        let configuration = try configuration([
            "host": "b", "requestsResponseInformation": true, "requestsProblemInformation": false,
            "userProperties": list("a=1", "a=2", "b="), "tokenFile": "/run/token", "username": "me",
        ])
        #expect(configuration.connect.userProperties == [.init("a", "1"), .init("a", "2"), .init("b", "")])
        #expect(configuration.connect.requestsResponseInformation && !configuration.connect.requestsProblemInformation)
        #expect(configuration.credentials?.source == "file")
    }

    // MARK: Mistakes

    @Test func `without a host or an endpoint the key is named`() {
        #expect(message { try configuration([:]) } == "configuration key \"host\" is missing, and so is \"endpoints\"")
    }

    @Test(
        arguments: [
            ("MQTT_PORT", "mqtt", "\"port\""), ("MQTT_KEEP_ALIVE", "soon", "\"keepAlive\""),
            ("MQTT_KEEP_ALIVE", "inf", "\"keepAlive\""), ("MQTT_VERSION", "4", "\"3.1.1\""),
            ("MQTT_TLS_ENABLED", "maybe", "\"tls.enabled\""), ("MQTT_RECEIVE_MAXIMUM", "70000", "from 0 to 65535"),
            ("MQTT_TLS_MINIMUM_VERSION", "1.1", "\"tls.minimumVersion\""),
            ("MQTT_TLS_PINS", "x", "\"tls.pins\""), ("MQTT_TLS_KEY_FILE", "k", "\"tls.certificateFile\""),
            ("MQTT_TLS_REVOCATION_SCOPE", "chain", "\"tls.revocationFiles\""),
            ("MQTT_TLS_PSK_KEY", "00", "\"tls.psk.identity\""), ("MQTT_USER_PROPERTIES", "x", "\"userProperties\""),
            ("MQTT_SESSION_EXPIRY", "5", "\"session\""), ("MQTT_WILL_PAYLOAD", "x", "\"will.topic\""),
            ("MQTT_RETRY_POLICY", "hard", "\"failFast\""), ("MQTT_METRICS_DIMENSIONS", "=x", "\"metrics.dimensions\""),
        ])
    func `a value that the key cannot have is an error with its name`(
        variable: String, value: String, expected: String
    ) {
        let text = message { try environment(["MQTT_HOST": "b", variable: value]) }
        #expect(text.contains(expected), "\(text)")
    }

    @Test func `a value of another type is not taken for a missing one`() {
        for wrong in [true, 1.5, "x", list("x")] as [ConfigValue] {
            #expect(message { try configuration(["host": "b", "port": wrong]) }.contains("\"port\""))
        }
        for wrong in [1, true, list("x")] as [ConfigValue] {
            #expect(message { try configuration(["host": wrong]) }.contains("\"host\""))
        }
    }

    /// A template whose values are missing would trust all public authorities, and pin nothing.
    @Test(arguments: ["tls.trustFiles", "tls.trustDirectories", "tls.pins"])
    func `an empty list of what is trusted is a mistake`(key: String) {
        #expect(
            message { try configuration(["host": "b", AbsoluteConfigKey(stringLiteral: key): list()]) }.contains(key))
    }

    @Test func `a secret is in no error, and providers are told that it is one`() throws {
        let reports = Reports()
        let config = ConfigReader(
            provider: EnvironmentVariablesProvider(
                environmentVariables: [
                    "HOST": "b", "PASSWORD": "hunter2", "TLS_PSK_IDENTITY": "i", "TLS_PSK_KEY": "hunter3",
                    "TLS_KEY_PASSPHRASE": "hunter4",
                ]),
            accessReporter: reports)
        let error = #expect(throws: MQTTError.self) { _ = try MQTTClientConfiguration(config: config) }
        #expect(error?.message == "configuration key \"tls.psk.key\" is not an even number of hexadecimal digits")
        let valid = try MQTTClientConfiguration(
            config: ConfigReader(
                provider: EnvironmentVariablesProvider(
                    environmentVariables: [
                        "HOST": "b", "PASSWORD": "hunter2", "TLS_CERTIFICATE_FILE": "c",
                        "TLS_KEY_URI": "pkcs11:object=k?pin-value=1234",
                    ]),
                accessReporter: reports))
        #expect(valid.credentials != nil)
        for key in ["password", "tls.psk.key", "tls.keyPassphrase", "tls.keyUri"] {
            #expect(reports.secrets.contains(key), "\(key)")
        }
        #expect(!reports.secrets.contains("host"))
    }
}
