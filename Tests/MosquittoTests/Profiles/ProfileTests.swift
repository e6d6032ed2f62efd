// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite(.turn(.units)) struct `The profile of` {
    private let identity = MQTTTLSConfiguration.Identity.files(certificate: "c.pem", key: "k.pem")
    private let tokens = MQTTStaticCredentials(username: nil, password: "a.b.c")

    @Test func `AWS IoT Core has ALPN on port 443 only`() throws {
        func profile(_ authentication: MQTTAWSIoTAuthentication) throws -> MQTTClientConfiguration {
            let profile = MQTTClientConfiguration.awsIoTCore(
                endpoint: "id-ats.iot.eu-central-1.amazonaws.com", clientID: "kitchen", authentication: authentication)
            try profile.validate()
            return profile
        }
        let plain = try profile(.certificate(identity))
        #expect(plain.endpoints.map(\.port) == [8883] && plain.tls?.applicationProtocols == [])
        let web = try profile(.certificate(identity, port: 443))
        #expect(web.endpoints.map(\.port) == [443] && web.tls?.applicationProtocols == ["x-amzn-mqtt-ca"])
        let custom = try profile(.customAuthorizer(name: "mine", credentials: tokens))
        #expect(custom.endpoints.map(\.port) == [443] && custom.tls?.applicationProtocols == ["mqtt"])
        let signed = try profile(
            .signatureV4(region: "eu-central-1") { _ in .init(accessKeyID: "id", secretAccessKey: "secret") })
        #expect(
            signed.endpoints.map(\.description) == ["wss://id-ats.iot.eu-central-1.amazonaws.com:443/mqtt"])
        #expect(signed.tls?.applicationProtocols == [] && signed.webSocket.prepare != nil)
    }

    @Test func `AWS IoT Core gives a custom authorizer its parameters, which no description shows`() async throws {
        let attempt = MQTTConnectAttempt(endpoint: MQTTEndpoint(host: "localhost", port: 443))
        let provider = AWSAuthorizerCredentials(
            base: MQTTStaticCredentials(username: "kitchen", password: "pass"), name: "my authorizer"
        ) { _ in MQTTAWSAuthorizerToken(key: "token", value: "s3cret/value", signature: "c2lnbmF0dXJl+w==") }
        let credentials = try await provider.credentials(for: attempt)
        #expect(
            credentials.username
                == "kitchen?x-amz-customauthorizer-name=my%20authorizer&token=s3cret%2Fvalue"
                + "&x-amz-customauthorizer-signature=c2lnbmF0dXJl%2Bw%3D%3D")
        #expect(credentials.password == "pass")
        var dumped = ""
        dump(credentials, to: &dumped)
        for text in ["\(credentials)", "\(credentials.debugDescription)", dumped] {
            #expect(text.contains("kitchen?…") && !text.contains("s3cret"), "\(text)")
        }
    }

    @Test func `Azure Event Grid authenticates by Authentication Data, and renews it on the connection`() throws {
        let profile = MQTTClientConfiguration.azureEventGrid(
            host: "n.westeurope-1.ts.eventgrid.azure.net", clientID: "session", authentication: .entra(tokens))
        try profile.validate()
        #expect(profile.authenticator?.method == "OAUTH2-JWT")
        #expect(profile.rotation.method == .reauthenticate)
        #expect(profile.publishing.rate?.messagesPerSecond == 1_000)
        let certificate = MQTTClientConfiguration.azureEventGrid(
            host: "n", clientID: "session", authentication: .certificate(identity, name: "kitchen"), webSocket: true)
        try certificate.validate()
        #expect(certificate.endpoints.map(\.description) == ["wss://n:443/mqtt"])
        #expect(certificate.authenticator == nil)
    }

    @Test func `Azure IoT Hub has the user name of a device`() async throws {
        let profile = MQTTClientConfiguration.azureIoTHub(
            hub: "contoso.azure-devices.net", device: "kitchen",
            authentication: .sharedAccessKey("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="))
        try profile.validate()
        #expect(profile.version == .v3_1_1 && profile.clientID == "kitchen")
        let attempt = MQTTConnectAttempt(endpoint: profile.endpoints[0])
        let credentials = try await profile.credentials?.credentials(for: attempt)
        #expect(credentials?.username == "contoso.azure-devices.net/kitchen/?api-version=2021-04-12")
        #expect(
            credentials?.password?.text.hasPrefix(
                "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fkitchen&sig=") == true)
    }

    @Test func `ClearBlade has the path of a device as the client identifier`() throws {
        let profile = MQTTClientConfiguration.clearBlade(
            project: "p", region: "us-central1", registry: "r", device: "d", tokens: tokens)
        try profile.validate()
        #expect(profile.clientID == "projects/p/locations/us-central1/registries/r/devices/d")
        #expect(profile.publishing.rate?.bytesPerSecond == 512_000)
        #expect(profile.endpoints.map(\.description) == ["us-central1-mqtt.clearblade.com:8883"])
    }

    @Test func `HiveMQ Cloud and EMQX have their ports`() throws {
        let hive = MQTTClientConfiguration.hiveMQCloud(host: "h", credentials: tokens)
        let hiveWeb = MQTTClientConfiguration.hiveMQCloud(host: "h", credentials: tokens, webSocket: true)
        let emqx = MQTTClientConfiguration.emqx(host: "h", credentials: tokens)
        let emqxWeb = MQTTClientConfiguration.emqx(host: "h", credentials: tokens, plan: .dedicated, webSocket: true)
        for profile in [hive, hiveWeb, emqx, emqxWeb] { try profile.validate() }
        #expect([hive, hiveWeb, emqx, emqxWeb].flatMap { $0.endpoints.map(\.port) } == [8883, 8884, 8883, 8084])
        #expect(emqx.publishing.rate?.messagesPerSecond == 10 && emqxWeb.publishing.rate == nil)
    }
}
