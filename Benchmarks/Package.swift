// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// A separate package: users of the library do not resolve dependencies of the measurements.
let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v15)],
    products: [
        // Preloaded, see HotPaths.
        .library(name: "AllocationCounter", type: .dynamic, targets: ["AllocationCounter"])
    ],
    dependencies: [
        // By name: a path's last component would be the identity, and a clone's folder can have any name.
        .package(name: "swift-mosquitto", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        // Without its interposers: they count a process's allocations together, those of libmosquitto and OpenSSL too.
        .package(url: "https://github.com/ordo-one/benchmark.git", from: "1.38.1", traits: []),
    ],
    targets: [
        .executableTarget(
            name: "mosquitto-swift",
            dependencies: [
                .product(name: "Mosquitto", package: "swift-mosquitto"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Sources/MosquittoSwift",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "topics",
            dependencies: [.product(name: "Mosquitto", package: "swift-mosquitto")],
            path: "Sources/Topics",
            swiftSettings: settings
        ),
        .target(name: "AllocationCounter"),
        // ordo-one/benchmark requires targets in a folder called Benchmarks.
        .executableTarget(
            name: "HotPaths",
            dependencies: [.product(name: "Benchmark", package: "benchmark")],
            path: "HotPaths",
            swiftSettings: settings,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]
        ),
    ]
)
