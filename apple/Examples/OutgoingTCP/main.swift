import Dispatch
import NetworkExtension

// A system extension hands over to the framework, which makes the provider that Info.plist names.
NEProvider.startSystemExtensionMode()
dispatchMain()
