// Package onvif finds encoders by WS-Discovery and talks to their ONVIF device,
// media, media2, PTZ and imaging services (ONVIF Core, Media, Media2, PTZ and
// Imaging Service Specifications).
//
// Discover returns what answered; New(Config).Identify returns what one encoder
// is and how to take pictures from it. Everything a device says is hostile: XML
// is bounded and free of entities, bodies end at 4 MiB, redirects and compressed
// bodies are refused, and addresses in replies are pinned to the host we chose
// to talk to.
//
// # Identity
//
// An encoder that moved to another address is found again by Device.Key, which
// prefers its hardware address, then serial number with manufacturer, then the
// endpoint UUID of discovery: some models ship with one UUID for all, some make
// a new one at each start, and serial numbers are sometimes a constant.
//
// # Use of github.com/use-go/onvif
//
// Of that library only types are used, and of them those that marshal to what
// the WSDL asks for: the requests GetSystemDateAndTime, GetDeviceInformation,
// GetNetworkInterfaces, GetServices, GetCapabilities, SystemReboot (device),
// GetProfiles, GetStreamUri, GetSnapshotUri (media), Stop, GetPresets,
// RemovePreset, GetStatus, SendAuxiliaryCommand (ptz), GetMoveOptions, Stop
// (imaging) and the schema types inside them. Not used:
//
//   - ContinuousMove, AbsoluteMove, RelativeMove, GotoPreset: they always send
//     an empty Timeout, Speed or space="", at which strict devices fault;
//   - Move of the focus: it always sends every kind of movement at once;
//   - SetPreset and SetSystemDateAndTime: they always send an empty PresetName
//     or TimeZone, which devices take for the name or refuse;
//   - every response type: repeated elements are single fields, and the prefix
//     "onvif:" in the tags matches no decoded element;
//   - media2, which the library does not have;
//   - transport, discovery, authentication, faults: it never closes a body,
//     takes a fault for success and panics on a damaged discovery reply.
package onvif
