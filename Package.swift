// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

var settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
var shimSettings: [CSetting] = [.enableWarning("all")]

// .ci/run sets it. A user's build never fails for a warning that a newer compiler has learned.
if Context.environment["MOSQUITTO_WARNINGS_AS_ERRORS"] == "1" {
    settings += [
        .treatAllWarnings(as: .error),
        // A dependency's minor release must not turn CI red.
        .treatWarning("DeprecatedDeclaration", as: .warning),
    ]
    shimSettings.append(.treatAllWarnings(as: .error))
}

// Not beside NIO: its C modules include glibc's headers, and Swift 6.3 then takes, from one build to the next, sockaddr_in for
// a member of CNIOLinux instead of Glibc.
let settingsBesideNIO = settings
settings.append(.enableUpcomingFeature("MemberImportVisibility"))

// A user who names traits resolves and builds only what they need: `traits: []` leaves swift-log and swift-collections.
let traits: Set<Trait> = [
    .trait(name: "Metrics", description: "MQTTClientConfiguration.metrics, with swift-metrics"),
    .trait(name: "ServiceLifecycle", description: "MQTTClient is a Service of swift-service-lifecycle"),
    .trait(name: "Tracing", description: "MQTTClientConfiguration.tracing, with swift-distributed-tracing"),
    .trait(name: "Configuration", description: "The product MosquittoConfiguration, with swift-configuration"),
    .trait(name: "Testing", description: "The product MosquittoTesting, with SwiftNIO and swift-certificates"),
    .trait(name: "Tokens", description: "The product MosquittoTokens, with AsyncHTTPClient and JWTKit"),
    .trait(
        name: "CommandLine",
        description:
            "The product mosq, with swift-argument-parser and HdrHistogram; demo needs Testing, issuers Tokens",
        enabledTraits: ["ServiceLifecycle"]),
]

extension Target.Dependency {
    /// A product that is needed with a trait. One trait: Swift 6.2 takes several as "all of them", Swift 6.3 as "any".
    static func product(_ name: String, _ package: String, with trait: String) -> Target.Dependency {
        .product(name: name, package: package, condition: .when(traits: [trait]))
    }
}

let package = Package(
    name: "swift-mosquitto",
    // The lowest that the used APIs allow: see docs/platforms.md.
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Mosquitto", targets: ["Mosquitto"]),
        .library(name: "MosquittoConfiguration", targets: ["MosquittoConfiguration"]),
        .library(name: "MosquittoTokens", targets: ["MosquittoTokens"]),
        .library(name: "MosquittoTesting", targets: ["MosquittoTesting"]),
        .executable(name: "mosq", targets: ["mosq"]),
    ],
    // All are on unless the user names some.
    traits: traits.union([.default(enabledTraits: Set(traits.map(\.name)))]),
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1.git", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates.git", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(
            url: "https://github.com/apple/swift-configuration.git", from: "1.4.0",
            // JSON links Foundation with ICU, 37 MB, and AsyncHTTPClient links swift-configuration: not into mosq alone.
            traits: [.trait(name: "JSON", condition: .when(traits: ["Configuration"]))]),
        .package(url: "https://github.com/apple/swift-crypto.git", "3.12.3"..<"5.0.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing.git", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.2"),
        .package(url: "https://github.com/apple/swift-system.git", from: "1.8.1"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift.git", from: "0.2.0"),
        .package(url: "https://github.com/vapor/jwt-kit.git", from: "5.7.1"),
    ],
    targets: [
        .systemLibrary(
            name: "CMosquitto",
            path: "CMosquitto",
            // OpenSSL too: Homebrew keeps it out of the folders that compilers search.
            pkgConfig: "libmosquitto openssl",
            providers: [.apt(["libmosquitto-dev", "libssl-dev"]), .brew(["mosquitto", "openssl@3"])]
        ),
        .target(
            name: "CMosquittoShim",
            dependencies: ["CMosquitto"],
            cSettings: shimSettings
        ),
        .target(
            name: "Mosquitto",
            dependencies: [
                "CMosquittoShim",
                .product("CoreMetrics", "swift-metrics", with: "Metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
                .product(name: "OrderedCollections", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product("ServiceLifecycle", "swift-service-lifecycle", with: "ServiceLifecycle"),
                .product("Tracing", "swift-distributed-tracing", with: "Tracing"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "MosquittoConfiguration",
            dependencies: ["Mosquitto", .product("Configuration", "swift-configuration", with: "Configuration")],
            swiftSettings: settings
        ),
        .target(
            name: "MosquittoTokens",
            dependencies: [
                "Mosquitto",
                .product("AsyncHTTPClient", "async-http-client", with: "Tokens"),
                .product("JWTKit", "jwt-kit", with: "Tokens"),
                .product("NIOCore", "swift-nio", with: "Tokens"),
                .product("NIOHTTP1", "swift-nio", with: "Tokens"),
                .product("NIOPosix", "swift-nio", with: "Tokens"),
                .product("NIOSSL", "swift-nio-ssl", with: "Tokens"),
                .product("Subprocess", "swift-subprocess", with: "Tokens"),
                .product("SystemPackage", "swift-system", with: "Tokens"),
            ],
            swiftSettings: settingsBesideNIO
        ),
        .target(
            name: "MosquittoTesting",
            dependencies: [
                "Mosquitto",
                .product("Crypto", "swift-crypto", with: "Testing"),
                .product("NIOCore", "swift-nio", with: "Testing"),
                .product("NIOHTTP1", "swift-nio", with: "Testing"),
                .product("NIOPosix", "swift-nio", with: "Testing"),
                .product("NIOSSL", "swift-nio-ssl", with: "Testing"),
                .product("NIOTLS", "swift-nio", with: "Testing"),
                .product("NIOWebSocket", "swift-nio", with: "Testing"),
                .product("SwiftASN1", "swift-asn1", with: "Testing"),
                .product("X509", "swift-certificates", with: "Testing"),
            ],
            swiftSettings: settingsBesideNIO
        ),
        .executableTarget(
            name: "mosq",
            dependencies: [
                "Mosquitto",
                .target(name: "MosquittoTesting", condition: .when(traits: ["Testing"])),
                .target(name: "MosquittoTokens", condition: .when(traits: ["Tokens"])),
                .product("ArgumentParser", "swift-argument-parser", with: "CommandLine"),
                .product("Histogram", "hdrhistogram-swift", with: "CommandLine"),
                .product(name: "Logging", package: "swift-log"),
                .product("UnixSignals", "swift-service-lifecycle", with: "CommandLine"),
            ],
            swiftSettings: settings
        ),
        // Tools and tests are no product: a user neither resolves nor builds what only they need. They are no package of
        // their own, because they need `package` access, and would build all dependencies a second time.
        .executableTarget(
            name: "RetrySimulation",
            dependencies: [
                "Mosquitto",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "HeapModule", package: "swift-collections"),
            ],
            path: "Tools/RetrySimulation",
            swiftSettings: settings
        ),
        // The common part of Soak and IntegrationTests.
        .target(
            name: "Promises",
            dependencies: [
                "Mosquitto", "MosquittoTesting",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "_CryptoExtras", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/Promises",
            swiftSettings: settings
        ),
        // The turns of tests of different kinds that run in one process.
        .target(name: "Turns", path: "Tests/Turns", swiftSettings: settings),
        .executableTarget(
            name: "WireClient",
            dependencies: ["Mosquitto"],
            path: "Tools/WireClient",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "Soak",
            dependencies: [
                "Mosquitto", "MosquittoTesting", "Promises",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Tools/Soak",
            swiftSettings: settings
        ),
        .testTarget(
            name: "MosquittoTests",
            dependencies: [
                "Turns", "Mosquitto", "MosquittoTesting",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MosquittoConfigurationTests",
            dependencies: [
                "Turns", "MosquittoConfiguration", "Mosquitto",
                .product(name: "Configuration", package: "swift-configuration"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "MosquittoTestingTests",
            dependencies: [
                "Turns", "MosquittoTesting", "Mosquitto",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: settingsBesideNIO
        ),
        .testTarget(
            name: "MosquittoTokensTests",
            dependencies: [
                "Turns", "MosquittoTokens", "Mosquitto", "MosquittoTesting",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "_CryptoExtras", package: "swift-crypto"),
                .product(name: "JWTKit", package: "jwt-kit"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: settingsBesideNIO
        ),
        .testTarget(
            name: "ScriptedBrokerTests",
            dependencies: [
                "Turns", "Mosquitto", "MosquittoTesting",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "Turns", "Mosquitto", "MosquittoTesting", "MosquittoTokens", "Promises", "Soak",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "_CryptoExtras", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settingsBesideNIO
        ),
        .testTarget(
            name: "RetrySimulationTests",
            dependencies: [
                "Turns", "RetrySimulation", "Mosquitto", "MosquittoTesting",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "mosqTests",
            dependencies: [
                "Turns", "mosq", "Mosquitto", "MosquittoTesting", "MosquittoTokens",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SideBySideTests",
            dependencies: ["Turns", "mosq", "MosquittoTesting"],
            swiftSettings: settings
        ),
    ]
)

// For a quick turn of work: MOSQUITTO_TEST_TARGETS=MosquittoTests,mosqTests leaves out the other test targets.
if let named = Context.environment["MOSQUITTO_TEST_TARGETS"]?.split(separator: ",").map(String.init) {
    package.targets.removeAll { $0.type == .test && !named.contains($0.name) }
}
