// swift-tools-version: 6.0
// The Swift face of flowsieve; README.md says how to add it to a system extension.
import Foundation
import PackageDescription

// The C interface comes from the XCFramework that scripts/build-xcframework puts here. Where there is none,
// it comes from the header beside this folder, and the linker has to be told where libflowsieve.a is.
let framework = "CFlowsieve.xcframework"
let hasFramework = FileManager.default.fileExists(atPath: Context.packageDirectory + "/" + framework)
let cInterface: Target =
    hasFramework
    ? .binaryTarget(name: "CFlowsieve", path: framework)
    : .systemLibrary(name: "CFlowsieve", path: "Sources/CFlowsieve")

// Apple's frameworks, or what stands in for them where there are none: the stubs are for checks and tests
// only, and no product has them.
#if os(macOS)
    let frameworks: [Target] = [.target(name: "FlowsieveObjC", dependencies: ["CFlowsieve"], path: "ObjC")]
    let used: [Target.Dependency] = ["FlowsieveObjC"]
    let testsOverStubs: [Target] = []
    let objectiveC: [Product] = [.library(name: "FlowsieveObjC", targets: ["FlowsieveObjC"])]
#else
    let stub = { (name: String, dependencies: [Target.Dependency]) -> Target in
        .target(name: name, dependencies: dependencies, path: "Stubs/Swift/\(name)")
    }
    let frameworks = [
        stub("os", []),
        stub("Network", []),
        stub("NetworkExtension", ["Network"]),
        stub("FlowsieveObjC", ["NetworkExtension"]),
    ]
    let used: [Target.Dependency] = ["os", "Network", "NetworkExtension", "FlowsieveObjC"]
    // They make flows, which the framework alone does on a Mac.
    let testsOverStubs: [Target] = [
        .testTarget(name: "FlowsieveProviderTests", dependencies: ["FlowsieveProvider"])
    ]
    let objectiveC: [Product] = []
#endif

let package = Package(
    name: "Flowsieve",
    platforms: [.macOS(.v13)],
    products: objectiveC + [
        .library(name: "Flowsieve", targets: ["Flowsieve"]),
        .library(name: "FlowsieveProvider", targets: ["FlowsieveProvider"]),
    ],
    targets: frameworks + testsOverStubs + [
        cInterface,
        .target(name: "Flowsieve", dependencies: ["CFlowsieve"]),
        .target(name: "FlowsieveProvider", dependencies: ["Flowsieve"] + used),
        .testTarget(name: "FlowsieveTests", dependencies: ["Flowsieve"]),
    ],
    swiftLanguageModes: [.v6]
)
