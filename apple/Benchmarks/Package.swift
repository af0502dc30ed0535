// swift-tools-version: 6.0
// What a decision from Swift costs beside one in C. A package of its own, so that no product of the one
// above has it.
import PackageDescription

let package = Package(
    name: "FlowsieveBenchmarks",
    platforms: [.macOS(.v13)],
    dependencies: [.package(name: "Flowsieve", path: "..")],
    targets: [
        .target(name: "DecideInC"),
        .executableTarget(
            name: "DecideBenchmark",
            dependencies: ["DecideInC", .product(name: "Flowsieve", package: "Flowsieve")]),
    ],
    swiftLanguageModes: [.v6]
)
