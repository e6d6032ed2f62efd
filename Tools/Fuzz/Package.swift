// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// A package of its own: everything in it is compiled with libFuzzer's instrumentation, and without traits that is the library,
// swift-log and swift-collections.
let package = Package(
    name: "Fuzz",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "swift-mosquitto", path: "../..", traits: [])],
    targets: [
        .executableTarget(
            name: "Fuzz", dependencies: [.product(name: "Mosquitto", package: "swift-mosquitto")],
            swiftSettings: [.unsafeFlags(["-parse-as-library"])])
    ]
)
